/**
 * The content of a normal log entry: the kind of change, its origin, and the change itself.
 *
 * ```
 * 0       1       2                10                18
 * | kind  | flags | origin member  | request number  | caller, with flag bit 0 | body ...
 * ```
 *
 * By origin and number the proposing member finds its waiting caller once the entry is applied; every other member
 * ignores them. For client requests the body is the protobuf request exactly as received: nothing is re-encoded
 * between the client's socket and the log. A leader starts its term with an empty entry (Raft §8).
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { type Caller, decodeCaller, encodeCaller } from "./caller.ts";

/** Numbers are written to disk: never reuse one. 32 to 63 are for users and roles. */
export const CommandKind = {
  noOp: 0,
  put: 1,
  deleteRange: 2,
  txn: 3,
  compact: 4,
  leaseGrant: 5,
  /** Many leases at once: a client's revoke contains one id, an expiry batch up to `expiryBatchMax`. */
  leaseRevoke: 6,
  leaseCheckpoint: 7,
  alarm: 8,
  memberAttributes: 9,
  memberUpdate: 10,
  clusterVersion: 11,
  downgrade: 12,
  /** Raises the protocol version agreed on by the cluster: see `EntryVersions`. */
  protocolVersion: 13,
  authEnable: 32,
  authDisable: 33,
  /** A login whose password has been verified. */
  authenticate: 34,
  authUserAdd: 35,
  authUserDelete: 36,
  authUserChangePassword: 37,
  authUserGrantRole: 38,
  authUserRevokeRole: 39,
  authRoleAdd: 40,
  authRoleDelete: 41,
  authRoleGrantPermission: 42,
  authRoleRevokePermission: 43,
} as const;
export type CommandKind = (typeof CommandKind)[keyof typeof CommandKind];

export type Command = {
  readonly kind: CommandKind;
  /** True when the decoding member is the one that proposed it. */
  readonly own: boolean;
  /** Unique among the requests of its origin, across restarts. */
  readonly requestNumber: number;
  /** The caller, while authentication was enabled; null without a user. */
  readonly caller: Caller | null;
  /** A view into the payload. */
  readonly body: Uint8Array;
};

const commandHeaderBytes = 18;

const flagsNone = 0;
/** A caller (`encodeCaller`) precedes the body. */
const flagCaller = 1;
const twoTo32 = 0x1_0000_0000;
const noOpCommand: Command = {
  kind: CommandKind.noOp,
  own: false,
  requestNumber: 0,
  caller: null,
  body: new Uint8Array(0),
};

/** Both directions for one member, whose id is encoded only once. */
export type CommandCodec = {
  /** The result owns its bytes: `body` may be reused afterwards. */
  encode(kind: CommandKind, requestNumber: number, body: Uint8Array, caller?: Caller | null): Uint8Array;
  /**
   * @throws HaplanError `command/unknown` when a newer version wrote the payload or its bytes are damaged: the member
   * must stop, since skipping an entry would make its data differ from that of the other members.
   */
  decode(payload: Uint8Array): Command;
};

/** `knows`: false for a kind that this version does not support. */
export function createCommandCodec(self: MemberId, knows: (kind: CommandKind) => boolean = () => true): CommandCodec {
  const selfBytes = memberIdToBytes(self);
  const known = new Set<number>(Object.values(CommandKind).filter(knows));
  return {
    encode: (kind, requestNumber, body, caller = null) => encodeCommand(kind, selfBytes, requestNumber, body, caller),
    decode: (payload) => decodeCommand(payload, selfBytes, known),
  };
}

function encodeCommand(
  kind: CommandKind,
  origin: Uint8Array,
  requestNumber: number,
  body: Uint8Array,
  caller: Caller | null,
): Uint8Array {
  const callerBytes = caller === null ? null : encodeCaller(caller);
  const bodyStart = commandHeaderBytes + (callerBytes === null ? 0 : callerBytes.length);
  const bytes = Buffer.allocUnsafe(bodyStart + body.length);
  bytes[0] = kind;
  bytes[1] = flagsNone;
  if (callerBytes !== null) {
    bytes[1] = flagCaller;
    bytes.set(callerBytes, commandHeaderBytes);
  }
  bytes.set(origin, 2);
  bytes.writeUInt32BE(Math.floor(requestNumber / twoTo32), 10);
  bytes.writeUInt32BE(requestNumber % twoTo32, 14);
  bytes.set(body, bodyStart);
  return bytes;
}

function decodeCommand(payload: Uint8Array, self: Uint8Array, known: ReadonlySet<number>): Command {
  if (payload.length === 0) return noOpCommand;
  const kind = payload[0]!;
  const flags = payload[1] ?? 0;
  const caller = flags === flagCaller ? decodeCaller(payload, commandHeaderBytes) : null;
  const readable = flags === flagsNone ? payload.length >= commandHeaderBytes : caller !== null;
  if (!readable || !known.has(kind)) {
    throw new HaplanError(
      "command/unknown",
      `Cannot read log entry of kind ${kind} with flags ${payload[1] ?? "none"} (${payload.length} bytes): ` +
        "it was written by a newer haplan-agent or is damaged; start the version that wrote it",
    );
  }
  return {
    kind: kind as CommandKind,
    own: holdsAt(payload, 2, self),
    requestNumber: readUint32(payload, 10) * twoTo32 + readUint32(payload, 14),
    caller: caller === null ? null : caller.caller,
    body: payload.subarray(caller === null ? commandHeaderBytes : caller.end),
  };
}

/** The 8 bytes, big endian, of an id's 16 hex digits. */
function memberIdToBytes(id: MemberId): Uint8Array {
  return Uint8Array.from(Buffer.from(id.padStart(16, "0"), "hex"));
}

function holdsAt(bytes: Uint8Array, offset: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[offset + i] !== wanted[i]) return false;
  return true;
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}
