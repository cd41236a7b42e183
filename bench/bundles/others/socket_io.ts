/** What a page imports of Socket.IO to call and be called. */

export { io } from "socket.io-client";
