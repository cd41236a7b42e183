/**
 * In the place of modules that Cloudflare's runtime has not, which tests import that are
 * not for it.
 *
 * @module
 */

function absent(): never {
  throw new Error("There is no such thing in workerd");
}

export {
  absent as connect,
  absent as generate,
  absent as mock,
  absent as once,
  absent as PeerSocket,
  absent as serve,
  absent as upgrade,
  absent as WebSocket,
  absent as WebSocketServer,
};
