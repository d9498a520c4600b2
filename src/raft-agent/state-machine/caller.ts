/** The caller, for authentication. */

/** A user authenticated by a member, and the auth revision on which that is based. */
export type Caller = {
  readonly user: string;
  /** The revision of the auth store; if it is older than the current one, permissions may have changed since. */
  readonly authRevision: number;
};

const userBytesMax = 0xffff;
const twoTo32 = 0x1_0000_0000;

/** `| length u16 | user ... | auth revision u64 |`. */
export function encodeCaller(caller: Caller): Buffer {
  const user = Buffer.from(caller.user).subarray(0, userBytesMax);
  const bytes = Buffer.allocUnsafe(user.length + 10);
  bytes.writeUInt16BE(user.length, 0);
  bytes.set(user, 2);
  bytes.writeUInt32BE(Math.floor(caller.authRevision / twoTo32), user.length + 2);
  bytes.writeUInt32BE(caller.authRevision % twoTo32, user.length + 6);
  return bytes;
}

/** Null when the bytes are truncated. `end` is the end of the caller. */
export function decodeCaller(bytes: Uint8Array, start: number): { caller: Caller; end: number } | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < start + 2) return null;
  const userEnd = start + 2 + view.readUInt16BE(start);
  if (view.length < userEnd + 8) return null;
  const authRevision = view.readUInt32BE(userEnd) * twoTo32 + view.readUInt32BE(userEnd + 4);
  return { caller: { user: view.toString("utf8", start + 2, userEnd), authRevision }, end: userEnd + 8 };
}
