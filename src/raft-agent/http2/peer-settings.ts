/** The peer's SETTINGS (RFC 9113 §6.5.2), validated. */
import { defaultMaxFrameBytes, defaultWindowBytes, ErrorCode, maxWindowBytes, readUint32, SettingId } from "./frame.ts";
import { ConnectionError } from "./http2-error.ts";

export type PeerSettings = {
  headerTableBytes: number;
  initialWindowBytes: number;
  maxFrameBytes: number;
};

export function defaultPeerSettings(): PeerSettings {
  return { headerTableBytes: 4_096, initialWindowBytes: defaultWindowBytes, maxFrameBytes: defaultMaxFrameBytes };
}

/**
 * Applies a SETTINGS payload in the order of its entries; unknown ones are ignored. `onHeaderTable` is called with
 * each value of SETTINGS_HEADER_TABLE_SIZE, since the smallest intermediate value counts (RFC 7541 §4.2). @throws
 * ConnectionError for a value out of range.
 */
export function applySettings(
  settings: PeerSettings,
  payload: Buffer,
  start: number,
  end: number,
  onHeaderTable: (bytes: number) => void,
): void {
  for (let at = start; at < end; at += 6) {
    const value = readUint32(payload, at + 2);
    switch ((payload[at]! << 8) | payload[at + 1]!) {
      case SettingId.headerTableSize:
        settings.headerTableBytes = value;
        onHeaderTable(value);
        break;
      case SettingId.enablePush:
        if (value > 1) throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_ENABLE_PUSH is ${value}`);
        break;
      case SettingId.initialWindowSize:
        if (value > maxWindowBytes)
          throw new ConnectionError(ErrorCode.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE is ${value}`);
        settings.initialWindowBytes = value;
        break;
      case SettingId.maxFrameSize:
        if (value < defaultMaxFrameBytes || value > 0xff_ffff)
          throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_MAX_FRAME_SIZE is ${value}`);
        settings.maxFrameBytes = value;
        break;
      default:
    }
  }
}
