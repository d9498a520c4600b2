import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { revokedSerialNumbers } from "./revocation-list.ts";

describe("a revocation list", () => {
  let directory: string;
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  /** Lines of openssl's index: a revoked certificate each. */
  const issueList = (name: string, serials: readonly string[]): Buffer => {
    const lines = serials.map((serial) => `R\t491231235959Z\t260101000000Z\t${serial}\tunknown\t/CN=gone\n`);
    writeFileSync(join(directory, "index.txt"), lines.join(""));
    openssl("ca", "-gencrl", "-config", "ca.conf", "-crldays", "30", "-out", name);
    return readFileSync(join(directory, name));
  };
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-crl-"));
    const lines = ["[ca]", "default_ca=own", "[own]", "database=index.txt", "default_md=sha256"];
    writeFileSync(join(directory, "ca.conf"), `${[...lines, "certificate=ca.crt", "private_key=ca.key"].join("\n")}\n`);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key"];
    openssl("req", "-x509", ...key, "-subj", "/CN=ca", "-days", "30", "-out", "ca.crt");
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("lists the revoked certificates, in PEM and in DER", () => {
    const long = "7F0102030405060708090A0B0C0D0E0F1011";
    const pem = issueList("two.pem", ["01", long]);
    expect([...revokedSerialNumbers(pem, "two.pem")]).toEqual(["1", long.toLowerCase()]);
    openssl("crl", "-in", "two.pem", "-outform", "DER", "-out", "two.der");
    expect(revokedSerialNumbers(readFileSync(join(directory, "two.der")), "two.der").size).toBe(2);
  });

  it("may be empty", () => {
    expect(revokedSerialNumbers(issueList("none.pem", []), "none.pem").size).toBe(0);
  });

  it.each([
    ["nothing", ""],
    ["a certificate", "0"],
    ["a truncated list", "-20"],
  ])("is rejected when it is %s", (what, cut) => {
    const whole = what === "a certificate" ? readFileSync(join(directory, "ca.crt")) : issueList("cut.pem", ["05"]);
    const der = Buffer.from(whole.toString().replace(/-----.*-----/g, ""), "base64");
    const bytes = cut === "" ? Buffer.alloc(0) : der.subarray(0, Number(cut) || der.length);
    if (what === "a certificate") expect(() => revokedSerialNumbers(whole, "ca.crt")).toThrow("expected an X.509");
    else expect(() => revokedSerialNumbers(bytes, "list.pem")).toThrow('Cannot use "list.pem"');
  });

  it("is rejected when a length is not encoded as DER requires", () => {
    const read = (hex: string) => () => revokedSerialNumbers(Buffer.from(hex, "hex"), "list.der");
    expect(read("30800000")).toThrow("it has no definite length at byte 0");
    // Interpreted as a length, the marker of an indefinite one would cover these 128 bytes.
    expect(read(`3080${"00".repeat(128)}`)).toThrow("it has no definite length at byte 0");
    expect(read(`3087${"00".repeat(7)}`)).toThrow("it is truncated at byte 0");
    expect(read("308201")).toThrow("it is truncated at byte 0");
  });
});
