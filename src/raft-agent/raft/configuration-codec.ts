/**
 * The encoding of a configuration entry:
 *
 *   version (1) | voters | outgoing voters | learners | context
 *
 * Each list is a 16-bit count and 8 bytes per member; the context is the rest. Numbers are big-endian.
 */

import { assert } from "../../base/assert.ts";
import { formatMemberId, parseMemberId } from "../../base/member-id.ts";
import type { Configuration } from "./configuration.ts";
import type { MemberId } from "./entry.ts";

const formatVersion = 1;
const memberBytes = 8;

/**
 * The content of a configuration entry: the configuration in force from there on, and opaque bytes for the state
 * machine.
 */
export type ConfigurationEntry = { readonly configuration: Configuration; readonly context: Uint8Array };

export function encodeConfigurationEntry({ configuration, context }: ConfigurationEntry): Uint8Array {
  const lists = [configuration.voters, configuration.votersOutgoing, configuration.learners];
  const listBytes = lists.reduce((sum, list) => sum + 2 + list.length * memberBytes, 0);
  const bytes = new Uint8Array(1 + listBytes + context.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, formatVersion);
  let offset = 1;
  for (const list of lists) {
    view.setUint16(offset, list.length);
    offset += 2;
    for (const member of list) {
      view.setBigUint64(offset, parseMemberId(member));
      offset += memberBytes;
    }
  }
  bytes.set(context, offset);
  return bytes;
}

/**
 * Decodes the output of `encodeConfigurationEntry`. The log's checksums are verified before, so malformed bytes are a
 * bug.
 */
export function decodeConfigurationEntry(bytes: Uint8Array): ConfigurationEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert(bytes.length >= 7 && view.getUint8(0) === formatVersion, `configuration entry has version ${formatVersion}`);
  let offset = 1;
  const readList = (): MemberId[] => {
    assert(offset + 2 <= bytes.length, "configuration entry is complete");
    const count = view.getUint16(offset);
    offset += 2;
    assert(offset + count * memberBytes <= bytes.length, "configuration entry is complete");
    return Array.from({ length: count }, () => {
      const member = formatMemberId(view.getBigUint64(offset));
      offset += memberBytes;
      return member;
    });
  };
  const configuration = { voters: readList(), votersOutgoing: readList(), learners: readList() };
  return { configuration, context: bytes.subarray(offset) };
}
