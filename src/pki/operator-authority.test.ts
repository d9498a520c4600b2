/** An authority of the operator, which signs with its key or by a program: what is issued, and what is refused. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OperatorAuthority } from "../spec/cluster-spec.ts";
import { certificatesIn } from "../x509/pem.ts";
import { openAuthority } from "./authority.ts";
import type { Authority, CertificateRequest } from "./authority-port.ts";
import { openOperatorAuthority } from "./operator-authority.ts";
import { handshake } from "./tls-handshake.fixture.ts";

let cwd: string;
const file = (name: string): string => join(cwd, name);
const request = (name: string, more: Partial<CertificateRequest> = {}): CertificateRequest => ({
  name,
  profile: name.startsWith("m") ? "member" : "client",
  commonName: name,
  subjectAltNames: ["127.0.0.1", "fd00::1", name].slice(name.startsWith("m") ? 0 : 2),
  ...more,
});

beforeEach(async () => {
  cwd = mkdtempSync(join(tmpdir(), "haplan-pki-"));
  await openAuthority({ directory: cwd }).createAuthority("Example Root");
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const open = (files: Partial<OperatorAuthority>, now?: () => number): Authority =>
  openOperatorAuthority({
    directory: file("issued"),
    files: { caFile: "ca.crt", keyFile: null, signer: null, ...files },
    cwd,
    ...(now === undefined ? {} : { now }),
  });

describe("an authority in files", () => {
  it("issues certificates that verify, and reports that it can sign", async () => {
    const authority = open({ keyFile: "ca.key" });
    expect((await authority.observe()).authority).toMatchObject({
      commonName: "Example Root",
      signingKey: "present",
      directory: "ca.crt",
    });
    await authority.issue(request("m1"));
    await authority.issue(request("w1"));
    const [server, client] = [await authority.material("m1"), await authority.material("w1")];
    expect(await handshake("127.0.0.1", server, client)).toBe("w1");
    expect((await authority.observe()).certificates).toMatchObject([
      { name: "m1", trusted: true, profile: "member" },
      { name: "w1" },
    ]);
  });

  it("reports a key that is missing or is another one's, and signs nothing then", async () => {
    const missing = open({ keyFile: "gone.key" });
    expect((await missing.observe()).authority?.signingKey).toBe("missing");
    await expect(missing.issue(request("m1"))).rejects.toThrow(/"m1": gone.key is missing/);
    await openAuthority({ directory: file("other") }).createAuthority("other");
    const other = open({ keyFile: "other/ca.key" });
    expect((await other.observe()).authority?.signingKey).toBe("mismatched");
    await expect(other.issue(request("m1"))).rejects.toThrow(/other\/ca.key is not the key of ca.crt/);
  });

  it("trusts every authority in the file, and signs with the one whose key it has", async () => {
    await open({ keyFile: "ca.key" }).issue(request("m1"));
    await openAuthority({ directory: file("next") }).createAuthority("Example Root 2");
    writeFileSync(file("both.crt"), readFileSync(file("ca.crt"), "utf8") + readFileSync(file("next/ca.crt"), "utf8"));
    const both = open({ caFile: "both.crt", keyFile: "next/ca.key" });
    const { authority, certificates } = await both.observe();
    expect(authority).toMatchObject({ commonName: "Example Root 2", previous: [{ commonName: "Example Root" }] });
    expect(certificates).toMatchObject([{ name: "m1", trusted: true }]);
    expect(certificatesIn((await both.material("m1")).caPem)).toHaveLength(2);
  });

  it.each<[string, () => void, RegExp]>([
    ["is missing", () => rmSync(file("ca.crt")), /Cannot read ca.crt: ENOENT/],
    ["holds no certificate", () => writeFileSync(file("ca.crt"), "x"), /ca.crt contains no certificate in PEM/],
    [
      "holds a server's",
      () => writeFileSync(file("ca.crt"), readFileSync(file("issued/m1.crt"))),
      /not an authority's: CN=m1/,
    ],
  ])("names a file that %s", async (_, spoil, text) => {
    const authority = open({ keyFile: "ca.key" });
    await authority.issue(request("m1"));
    spoil();
    await expect(authority.observe()).rejects.toThrow(text);
  });

  it("gives haplan a certificate for one run when its own cannot be used", async () => {
    const authority = open({ keyFile: "ca.key" });
    await authority.issue(request("m1"));
    const [server, admin] = [await authority.material("m1"), await authority.clientMaterial()];
    expect(await handshake("127.0.0.1", server, admin)).toBe("admin");
    expect(existsSync(file("issued/admin.crt"))).toBe(false);
  });
});

const openssl = ((): string | null => {
  try {
    return execFileSync("openssl", ["version"], { encoding: "utf8" });
  } catch {
    return null;
  }
})();

/** A shell script that signs with openssl, by way of an intermediate authority. */
function withIntermediate(): readonly string[] {
  writeFileSync(
    file("sign.sh"),
    `set -e
cd "$(dirname "$0")"
if [ ! -e mid.crt ]; then
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mid.key -out mid.csr -subj "/CN=Example Issuing" 2>/dev/null
  printf 'basicConstraints=critical,CA:true\\nkeyUsage=critical,keyCertSign\\n' > mid.ext
  openssl x509 -req -in mid.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 400 -extfile mid.ext -out mid.crt 2>/dev/null
fi
echo "$HAPLAN_CERTIFICATE_NAME $HAPLAN_CERTIFICATE_PROFILE" >> asked
openssl x509 -req -CA mid.crt -CAkey mid.key -CAcreateserial -days 2 -copy_extensions copyall 2>/dev/null
cat mid.crt ca.crt
`,
  );
  return ["sh", "./sign.sh"];
}

describe.skipIf(openssl === null)(`a program that signs${openssl === null ? " (skipped: no openssl)" : ""}`, () => {
  const signer = (command: readonly string[], timeoutMs = 20_000): Partial<OperatorAuthority> => ({
    signer: { command: [...command], timeoutMs },
  });

  it("gets a request that OpenSSL reads, and its chain is presented without the root", async () => {
    const authority = open(signer(withIntermediate()));
    const issued = await authority.issue(request("m1"));
    expect(issued).toMatchObject({ profile: "member", subjectAltNames: ["127.0.0.1", "fd00::1", "m1"], trusted: true });
    await authority.issue(request("w1"));
    expect(readFileSync(file("asked"), "utf8")).toBe("m1 member\nw1 client\n");
    const [server, client] = [await authority.material("m1"), await authority.material("w1")];
    expect(certificatesIn(server.certificatePem)).toHaveLength(2);
    expect(await handshake("127.0.0.1", server, client)).toBe("w1");
    // It is asked once: what is there and fits is kept.
    await authority.issue(request("m1"));
    expect(readFileSync(file("asked"), "utf8")).toBe("m1 member\nw1 client\n");
  });

  it.each<[string, string, RegExp]>([
    [
      "fails",
      "echo 'permission denied' >&2; exit 3",
      /"m1", sh -c .* ended with exit code 3\nIt wrote to standard error:\npermission denied/,
    ],
    ["prints nothing", "cat > /dev/null", /printed no certificate in PEM\nIt wrote nothing to standard error/],
    ["takes too long", "sleep 10", /did not end within 0.3 s \(timeoutMs\)/],
    ["prints another certificate", "cat ca.crt", /cannot be used: it is not for the key of the request/],
    [
      "drops the names",
      "openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 2>/dev/null",
      /cannot be used: it lacks the names|extended key usage/,
    ],
    [
      "signs with another authority",
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout o.key -out o.crt -subj /CN=o 2>/dev/null; openssl x509 -req -CA o.crt -CAkey o.key -CAcreateserial -days 2 -copy_extensions copyall 2>/dev/null",
      /neither caFile nor an intermediate authority/,
    ],
  ])("that %s is named, and nothing is written", async (what, script, text) => {
    const authority = open(signer(["sh", "-c", script], what === "takes too long" ? 300 : 20_000));
    await expect(authority.issue(request("m1"))).rejects.toThrow(text);
    expect(existsSync(file("issued/m1.crt"))).toBe(false);
  });

  it("that does not exist is named", async () => {
    await expect(open(signer(["./no-such-program"])).issue(request("m1"))).rejects.toThrow(
      /The signer of certificate "m1", \.\/no-such-program, does not exist/,
    );
  });
});
