/** The benchmark client's frames beside its requests: it accepts all responses as fast as they arrive. */
import {
  clientPreface,
  defaultWindowBytes,
  Flag,
  FrameType,
  frameHeaderBytes,
  maxWindowBytes,
  pingFrame,
  SettingId,
  settingsFrame,
  writeWindowUpdate,
} from "../src/raft-agent/http2/frame.ts";

export const maxFrameBytes = 1_048_576;

/** To be sent first. */
export function openingFrames(): Buffer {
  const settings = settingsFrame([
    [SettingId.enablePush, 0],
    [SettingId.initialWindowSize, maxWindowBytes],
    [SettingId.maxFrameSize, maxFrameBytes],
  ]);
  return Buffer.concat([clientPreface, settings, connectionCredit(maxWindowBytes - defaultWindowBytes)]);
}

/** A WINDOW_UPDATE of the connection. */
export function connectionCredit(bytes: number): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + 4);
  writeWindowUpdate(frame, 0, 0, bytes);
  return frame;
}

/** The required response to a frame of the server; undefined for most. */
export function acknowledgement(type: number, flags: number, payload: Buffer): Buffer | undefined {
  if ((flags & Flag.ack) !== 0) return undefined;
  if (type === FrameType.settings) return settingsFrame();
  return type === FrameType.ping ? pingFrame(payload, true) : undefined;
}
