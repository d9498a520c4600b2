import { create, fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageArbitrary } from "../../../test/support/message-arbitrary.ts";
import { RangeResponseSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import { createJsonRoutes } from "./json-routes.ts";
import { messageJson } from "./message-json.ts";

describe("messages as JSON", () => {
  const answers = [
    ...new Map([...createJsonRoutes().values()].map(({ output }) => [output.typeName, output])).values(),
  ];

  it.each(answers.map((answer) => [answer.typeName, answer] as const))("match protobuf-es for %s", (_name, answer) => {
    fc.assert(
      fc.property(messageArbitrary(answer), (message) => {
        const bytes = toBinary(answer, message);
        const theirs = toJson(answer, fromBinary(answer, bytes), { useProtoFieldName: true });
        expect(JSON.stringify(messageJson(answer, bytes))).toBe(JSON.stringify(theirs));
      }),
      { numRuns: 20 },
    );
  });

  it("A6: take less than a second for 8 MB, which blocks the member", () => {
    const kv = { key: Buffer.from("k"), value: new Uint8Array(8_000_000) };
    const bytes = toBinary(RangeResponseSchema, create(RangeResponseSchema, { kvs: [kv] }));
    const startMs = performance.now();
    messageJson(RangeResponseSchema, bytes);
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });
});
