/**
 * TLS without session resumption. A resumed session skips the checks of a full handshake: whether the client's
 * certificate has expired or its authority is still trusted. So a server that requires certificates issues no tickets;
 * Node.js keeps no other sessions.
 */
import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

export const fullHandshakesOnly: SecureContextOptions = { secureOptions: constants.SSL_OP_NO_TICKET };
