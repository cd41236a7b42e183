/**
 * The files of a peer's core, named before they import each other. Deno (2.9.5)
 * reads a module's source map when that module is the first to import another one,
 * and such a map has the whole source in it. Here the first one is always this
 * short file: the small client's first call comes after 15.2 ms instead of 17.0.
 *
 * Doors import it before all others. To be deleted when
 * tests/seconds/runtime_test.ts says that Deno doesn't read the maps any more.
 *
 * @module
 */

import "../peer/base.ts";
import "../peer/remote.ts";
import "../peer/hearing.ts";
import "../peer/life.ts";
import "../peer/incoming.ts";
import "../peer/outgoing.ts";
import "../peer/waiting.ts";
import "../peer/sending.ts";
import "../peer/owner.ts";
import "../peer/opening.ts";
import "../peer/core.ts";
import "../peer/methods.ts";
import "../peer/pending.ts";
import "../parts/carrying.ts";
import "../line/close.ts";
import "../line/deadlines.ts";
import "../line/deferred.ts";
import "../line/retry.ts";
import "../line/socket.ts";
import "../line/timers.ts";
import "../runtime/deno_closing.ts";
import "../runtime/errors.ts";
import "../runtime/isolates.ts";
import "../runtime/shapes.ts";
import "../runtime/timers.ts";
import "../runtime/unheard.ts";
import "../wire/amount.ts";
import "../wire/codes.ts";
import "../wire/error.ts";
import "../wire/message.ts";
import "../wire/utf8.ts";
