/** The imports of a page from Socket.IO, to call and be called. */

export { io } from "socket.io-client";
