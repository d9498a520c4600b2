/** Tests haplan.v1 in both encodings, against what the previous release writes and reads. */
import { create, type DescMessage, equals, type MessageShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageArbitrary } from "../../../test/support/message-arbitrary.ts";
import { decodeHaplan, encodeHaplan, encodingOf, haplanMethods } from "./haplan-messages.ts";
import { WireError } from "./wire.ts";

const { changeMembers, facts, drain } = haplanMethods;
const schemas: [string, DescMessage][] = [changeMembers, facts, drain]
  .flatMap(({ input, output }): DescMessage[] => [input, output])
  .map((schema) => [schema.name, schema]);
const text = (value: string): Buffer => Buffer.from(value);

/** As written by the agent of the previous release. */
const olderFacts = `{"memberId":"00000000000000aa","clusterId":"00000000000000cc","version":"3.6.1","role":"follower",
  "term":7,"leader":null,"lastIndex":12,"commitIndex":11,"appliedIndex":11,
  "configuration":{"voters":["00000000000000aa"],"votersOutgoing":[],"learners":[]},"configurationIndex":3,
  "members":[{"id":"00000000000000aa","name":"m1","peerUrls":["http://a:2380"],"clientUrls":[],"learner":false}],
  "progress":[{"member":"00000000000000aa","matchIndex":12,"active":true,"lagEntries":0}],
  "revision":5,"dbSizeBytes":20480,"dbSizeInUseBytes":16384,"alarms":[],
  "hash":{"hash":4000000000,"compactRevision":-1,"revision":5}}`;

describe.each(schemas)("%s", (_name, schema) => {
  it.each(["protobuf", "json"] as const)("round-trips through %s", (encoding) => {
    fc.assert(
      fc.property(messageArbitrary(schema), (message) => {
        const bytes = encodeHaplan(schema, message as MessageShape<DescMessage>, encoding);
        if (bytes.length > 0) expect(encodingOf(bytes)).toBe(encoding);
        expect(equals(schema, decodeHaplan(schema, bytes), message)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("is rejected when it is damaged, without other errors", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, asJson) => {
        try {
          decodeHaplan(schema, asJson ? Buffer.concat([text("{"), bytes]) : bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });
});

describe("between releases", () => {
  it("facts of the previous release are understood, with absent fields for its nulls", () => {
    const answer = decodeHaplan(facts.output, text(olderFacts));
    expect(answer).toMatchObject({ role: "follower", term: 7n, configurationIndex: 3n, revision: 5n });
    expect(answer.leader).toBe(undefined);
    expect(answer.hash).toMatchObject({ hash: 4_000_000_000, compactRevision: -1n });
    expect(answer.progress).toMatchObject([{ matchIndex: 12n, lagEntries: 0n }]);
  });

  it("JSON has numbers and all lists, as the previous release reads them", () => {
    const configuration = { voters: ["00000000000000aa"] };
    const written = encodeHaplan(facts.output, { term: 7n, configuration, configurationIndex: 3n }, "json");
    expect(JSON.parse(Buffer.from(written).toString())).toMatchObject({
      term: 7,
      configuration: { voters: ["00000000000000aa"], votersOutgoing: [], learners: [] },
      configurationIndex: 3,
      progress: [],
    });
  });

  it("unknown fields are skipped, and missing ones have their defaults", () => {
    const later = { json: text('{"clients":true,"later":{"a":[1]}}'), protobuf: Buffer.from([8, 1, 0x7a, 1, 65]) };
    for (const bytes of Object.values(later)) expect(decodeHaplan(drain.input, bytes).clients).toBe(true);
    expect(decodeHaplan(changeMembers.input, text('{"voters":["00000000000000aa"]}'))).toEqual(
      create(changeMembers.input, { voters: ["00000000000000aa"], learners: [], add: [] }),
    );
  });

  it.each([
    ['{"voters":"00000000000000aa"}', /not a haplan\.v1\.ChangeMembersRequest in JSON: .*voters/],
    ['{"voters":[7]}', /voters/],
    ['{"add":[{"peerUrls":"http://a:2380"}]}', /peer_urls|peerUrls/],
    ['{"voters":', /in JSON/],
    ["\x0a\x7f", /not a haplan\.v1\.ChangeMembersRequest in protobuf/],
  ])("%j is rejected, and the error names the message and the field", (bytes, expected) => {
    expect(() => decodeHaplan(changeMembers.input, text(bytes))).toThrow(expected);
  });
});
