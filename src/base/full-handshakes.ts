/**
 * TLS without resumed sessions. A session that is resumed skips what a full handshake judges: whether the client's
 * certificate has ended or its authority is still trusted. So a server that asks for certificates hands out no tickets;
 * Node keeps no sessions of its own beside them.
 */
import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

export const fullHandshakesOnly: SecureContextOptions = { secureOptions: constants.SSL_OP_NO_TICKET };
