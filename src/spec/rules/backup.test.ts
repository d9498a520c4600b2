import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

/** `backup` is in line 11. */
function specWith(backup: string, engine = "agent"): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: local }
  controlPlane:
    engine: ${engine}
    masters: [{ name: m1, address: 127.1.0.1 }, { name: m2, address: 127.1.0.2 }, { name: m3, address: 127.1.0.3 }]
  loadBalancer: { address: 127.1.0.100 }
  workers: []
  backup: { ${backup} }
`;
}

const schedule = "schedule: { everyMinutes: 60, directory: /b }";

describe("backup in a spec", () => {
  it.each<[string, string, string]>([
    ["two places", "directory: kept, s3: { bucket: kept }", "11:34 Backups go to two places"],
    [
      "a bucket and directories of members",
      `s3: { bucket: kept }, ${schedule}`,
      "11:45 Backups that members take go to two places",
    ],
    [
      "a schedule without a place",
      "schedule: { everyMinutes: 60 }",
      "11:23 Nothing says where the backups that members take go",
    ],
    [
      "credentials for a directory",
      "schedule: { everyMinutes: 60, directory: /b, credentialsFile: /c }",
      "11:23 Members need no credentials for a directory",
    ],
    ["a schedule of an etcd", schedule, "11:23 A real etcd takes no backups by itself"],
    ["a bucket without a name", "s3: { region: eu-central-1 }", '11:13 spec.backup.s3 has no "bucket"'],
    ["a bucket with a bad name", "s3: { bucket: No_Bucket }", '11:27 spec.backup.s3.bucket is "No_Bucket"'],
    ["no key", "encryption: {}", "11:25 Nothing says what backups are encrypted with"],
    [
      "a key of this machine alone",
      `encryption: { keyFile: k }, ${schedule}`,
      "11:51 Backups are encrypted, but not those that the members take",
    ],
  ])("rejects %s", (what, backup, expected) => {
    const { diagnostics } = specReader.parse("f", specWith(backup, what.endsWith("etcd") ? "etcd" : "agent"));
    const found = diagnostics.map(({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`);
    expect(found.join("; ")).toContain(expected);
    expect(found).toHaveLength(1);
  });

  it("has a bucket with the access that a bucket of the state has", () => {
    const { spec } = specReader.parse(
      "f",
      specWith("s3: { bucket: kept, prefix: /a/, endpoint: 'http://127.0.0.1:9000' }"),
    );
    expect(spec?.backup).toEqual({
      s3: { bucket: "kept", prefix: "a", region: null, endpoint: "http://127.0.0.1:9000", forcePathStyle: true },
    });
  });
});
