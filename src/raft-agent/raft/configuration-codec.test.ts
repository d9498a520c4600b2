import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeConfigurationEntry, encodeConfigurationEntry } from "./configuration-codec.ts";

const member = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((id) => id.toString(16).padStart(16, "0"));
const members = fc.array(member, { maxLength: 9 });

describe("configuration codec", () => {
  it("round-trips a configuration entry", () => {
    const configuration = fc.record({ voters: members, votersOutgoing: members, learners: members });
    fc.assert(
      fc.property(configuration, fc.uint8Array(), (configuration, context) => {
        const bytes = encodeConfigurationEntry({ configuration, context });
        const decoded = decodeConfigurationEntry(bytes);
        expect(decoded.configuration).toEqual(configuration);
        expect([...decoded.context]).toEqual([...context]);
      }),
    );
  });

  it("rejects truncated bytes and other versions", () => {
    const configuration = { voters: ["00000000000000ab"], votersOutgoing: [], learners: [] };
    const bytes = encodeConfigurationEntry({ configuration, context: new Uint8Array(0) });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeConfigurationEntry(bytes.subarray(0, length))).toThrow("configuration entry");
    }
    expect(() => decodeConfigurationEntry(bytes.with(0, 9))).toThrow("configuration entry has version 1");
  });
});
