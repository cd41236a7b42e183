/**
 * The files of a peer's core, the lowest first, named before they import each
 * other. Deno (2.9.5) reads a module's source map when that module is the first to
 * import another one, and such a map has the whole source in it. Here the first one
 * is always this short file: the small client's first call comes after 15.2 ms
 * instead of 17.0.
 *
 * Doors import it before all others. To be deleted when
 * tests/seconds/runtime_test.ts says that Deno doesn't read the maps any more.
 *
 * @module
 */

import "../wire/amount.ts";
import "../wire/codes.ts";
import "../wire/error.ts";
import "../wire/message.ts";
import "../wire/utf8.ts";
import "../runtime/deno_closing.ts";
import "../runtime/errors.ts";
import "../runtime/isolates.ts";
import "../runtime/shapes.ts";
import "../runtime/timers.ts";
import "../runtime/unheard.ts";
import "../line/close.ts";
import "../line/deadlines.ts";
import "../line/deferred.ts";
import "../line/retry.ts";
import "../line/socket.ts";
import "../line/timers.ts";
import "../peer/pending.ts";
import "../peer/methods.ts";
import "../peer/core.ts";
import "../peer/opening.ts";
import "../peer/owner.ts";
import "../peer/sending.ts";
import "../peer/waiting.ts";
import "../peer/outgoing.ts";
import "../peer/incoming.ts";
import "../peer/life.ts";
import "../peer/hearing.ts";
import "../peer/remote.ts";
import "../peer/base.ts";
import "../parts/carrying.ts";
