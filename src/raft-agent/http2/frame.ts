/**
 * The encoding of HTTP/2 frames (RFC 9113 §4, §6, §7): constants, and writers that put frames into a buffer owned by
 * the caller. Parsing is in frame-parser.ts. Nothing here allocates.
 */

/** The bytes that a client sends before its first frame (RFC 9113 §3.4). */
export const clientPreface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const frameHeaderBytes = 9;
/** The largest payload every peer accepts (RFC 9113 §6.5.2). */
export const defaultMaxFrameBytes = 16_384;
export const defaultWindowBytes = 65_535;
export const maxWindowBytes = 0x7fff_ffff;
export const maxStreamId = 0x7fff_ffff;

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flag bits; END_STREAM and ACK share one bit on different frames. */
export const Flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Error codes (RFC 9113 §7). */
export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** Settings identifiers (RFC 9113 §6.5.2). */
export const SettingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Writes a frame header at `at` and returns where its payload starts. */
export function writeFrameHeader(
  target: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  target[at] = length >>> 16;
  target[at + 1] = length >>> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  return writeUint32(target, at + 5, streamId);
}

/** Writes a 32-bit big-endian number and returns the offset after it. */
export function writeUint32(target: Uint8Array, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
}

/** Reads a 32-bit big-endian number. */
export function readUint32(source: Uint8Array, at: number): number {
  return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0;
}

/** A whole RST_STREAM frame (§6.4), 13 bytes. */
export function writeRstStream(target: Uint8Array, at: number, streamId: number, code: number): number {
  return writeUint32(target, writeFrameHeader(target, at, 4, FrameType.rstStream, 0, streamId), code);
}

/** A whole WINDOW_UPDATE frame (§6.9), 13 bytes; stream 0 is the connection. */
export function writeWindowUpdate(target: Uint8Array, at: number, streamId: number, increment: number): number {
  return writeUint32(target, writeFrameHeader(target, at, 4, FrameType.windowUpdate, 0, streamId), increment);
}

/** A SETTINGS frame (§6.5) with `[id, value]` pairs, or an acknowledgement when `pairs` is undefined. */
export function settingsFrame(pairs?: readonly (readonly [number, number])[]): Buffer {
  const length = (pairs?.length ?? 0) * 6;
  const frame = Buffer.alloc(frameHeaderBytes + length);
  let at = writeFrameHeader(frame, 0, length, FrameType.settings, pairs === undefined ? Flag.ack : 0, 0);
  for (const [id, value] of pairs ?? []) {
    frame[at] = id >>> 8;
    frame[at + 1] = id;
    at = writeUint32(frame, at + 2, value);
  }
  return frame;
}

/** A PING frame (§6.7) with eight opaque bytes. */
export function pingFrame(opaque: Uint8Array, ack: boolean): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + 8);
  frame.set(opaque.subarray(0, 8), writeFrameHeader(frame, 0, 8, FrameType.ping, ack ? Flag.ack : 0, 0));
  return frame;
}

/** A GOAWAY frame (§6.8); `debug` is for humans. */
export function goawayFrame(lastStreamId: number, code: number, debug: string): Buffer {
  const text = Buffer.from(debug, "utf8");
  const frame = Buffer.alloc(frameHeaderBytes + 8 + text.length);
  let at = writeFrameHeader(frame, 0, 8 + text.length, FrameType.goaway, 0, 0);
  at = writeUint32(frame, at, lastStreamId);
  at = writeUint32(frame, at, code);
  frame.set(text, at);
  return frame;
}
