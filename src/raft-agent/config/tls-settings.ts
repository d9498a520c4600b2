/** The TLS flags of the client port and, with the prefix `peer-`, of the peer port. */
import { getCiphers } from "node:tls";
import { listenAddress } from "../../base/listen-place.ts";
import { SettingsError } from "./read-settings.ts";
import type { SettingReader } from "./setting-reader.ts";

/** Certificate files of one listener, and its requirements for connections. */
export type TlsFiles = {
  readonly certFile: string;
  readonly keyFile: string;
  /** The certificate for client other peers, if it is another one. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly trustedCaFile: string | null;
  /** The other side must present a certificate of the trusted CA. As in etcd, naming a CA is enough to require it. */
  readonly requireClientCertificate: boolean;
  /** A certificate's common name may replace a user's name and password. */
  readonly loginByCertificate: boolean;
  /** Serial numbers listed there are rejected. */
  readonly crlFile: string | null;
  /** Common names, or host names, one of which a certificate must have; none allow any. */
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
  /** A caller's certificate must be for the address that it calls from: only for peers, as in etcd. */
  readonly checkCallerAddress: boolean;
  /** OpenSSL's names; null for Node's choice. */
  readonly ciphers: string | null;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** Set by --auto-tls: the files are created at the first start, and no other party can verify them. */
  readonly selfSigned: { readonly hosts: readonly string[]; readonly validYears: number } | null;
};

type TlsVersion = "TLSv1.2" | "TLSv1.3";
type Prefix = "" | "peer-";
/** The directory for the files of --auto-tls, and the URLs of the certificate. */
type SelfSignedPlace = { readonly directory: string; readonly urls: readonly URL[] };

/** Null when the port has no TLS. @throws SettingsError */
export function readTls(read: SettingReader, prefix: Prefix, place: SelfSignedPlace): TlsFiles | null {
  const files = readFiles(read, prefix, place);
  const protocol = readProtocol(read);
  if (files === null) return null;
  const trustedCaFile = read.text(`${prefix}trusted-ca-file`) || null;
  const certificateAuth = read.flag(`${prefix}client-cert-auth`);
  if (certificateAuth && trustedCaFile === null) {
    throw new SettingsError(`--${prefix}client-cert-auth needs --${prefix}trusted-ca-file`);
  }
  return {
    ...files,
    trustedCaFile,
    requireClientCertificate: trustedCaFile !== null,
    loginByCertificate: certificateAuth,
    crlFile: read.text(prefix === "" ? "client-crl-file" : "peer-crl-file") || null,
    ...readAllowed(read, prefix),
    checkCallerAddress: prefix === "peer-" && !read.flag("peer-skip-client-san-verification"),
    ...protocol,
  };
}

type Files = Pick<TlsFiles, "certFile" | "keyFile" | "clientCertFile" | "clientKeyFile" | "selfSigned">;

function readFiles(read: SettingReader, prefix: Prefix, { directory, urls }: SelfSignedPlace): Files | null {
  const [certFile, keyFile] = readPair(read, `${prefix}cert-file`, `${prefix}key-file`);
  if (certFile !== "") {
    const [clientCertFile, clientKeyFile] =
      prefix === "" ? ["", ""] : readPair(read, "peer-client-cert-file", "peer-client-key-file");
    const client = { clientCertFile: clientCertFile || certFile, clientKeyFile: clientKeyFile || keyFile };
    return { certFile, keyFile, ...client, selfSigned: null };
  }
  if (!read.flag(`${prefix}auto-tls`)) return null;
  const validYears = read.atLeastOne("self-signed-cert-validity");
  const own = { cert: `${directory}/cert.pem`, key: `${directory}/key.pem` };
  const hosts = [...new Set(urls.map((url) => listenAddress(url).host || "localhost"))];
  return {
    certFile: own.cert,
    keyFile: own.key,
    clientCertFile: own.cert,
    clientKeyFile: own.key,
    selfSigned: { hosts, validYears },
  };
}

function readPair(read: SettingReader, certFlag: string, keyFlag: string): [cert: string, key: string] {
  const [cert, key] = [read.text(certFlag), read.text(keyFlag)];
  if ((cert === "") !== (key === "")) {
    throw new SettingsError(`--${certFlag} and --${keyFlag} go together; one of them is missing`);
  }
  return [cert, key];
}

function readAllowed(read: SettingReader, prefix: Prefix): Pick<TlsFiles, "allowedCommonNames" | "allowedHostnames"> {
  if (prefix === "") return { allowedCommonNames: [], allowedHostnames: read.list("client-cert-allowed-hostname") };
  const allowedCommonNames = read.list("peer-cert-allowed-cn");
  const allowedHostnames = read.list("peer-cert-allowed-hostname");
  if (allowedCommonNames.length > 0 && allowedHostnames.length > 0) {
    throw new SettingsError("--peer-cert-allowed-cn and --peer-cert-allowed-hostname exclude each other; set only one");
  }
  return { allowedCommonNames, allowedHostnames };
}

function readProtocol(read: SettingReader): Pick<TlsFiles, "ciphers" | "minVersion" | "maxVersion"> {
  const minVersion = tlsVersion(read.text("tls-min-version"), "TLSv1.2", "tls-min-version");
  const maxVersion = tlsVersion(read.text("tls-max-version"), "TLSv1.3", "tls-max-version");
  if (minVersion > maxVersion) throw new SettingsError("--tls-min-version is above --tls-max-version");
  const suites = read.list("cipher-suites");
  if (suites.length === 0) return { ciphers: null, minVersion, maxVersion };
  if (minVersion === "TLSv1.3") {
    throw new SettingsError("--cipher-suites has no effect on TLS 1.3; remove it, or lower --tls-min-version");
  }
  return { ciphers: [...tls13Suites, ...suites.map(openSslName)].join(":"), minVersion, maxVersion };
}

/** Not selectable, in Go as here: they are all offered. */
const tls13Suites = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];

/** `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is OpenSSL's `ECDHE-RSA-AES128-GCM-SHA256`. */
function openSslName(suite: string): string {
  if (tls13Suites.includes(suite)) return suite;
  const name = suite
    .replace(/^TLS_/, "")
    .replace(/^RSA_WITH_/, "")
    .replace("_WITH_", "_")
    .replace(/AES_(128|256)/, "AES$1")
    .replace("_CBC", "")
    .replace(/(CHACHA20_POLY1305)_SHA256$/, "$1")
    .replaceAll("_", "-");
  if (suite.startsWith("TLS_") && getCiphers().includes(name.toLowerCase())) return name;
  throw new SettingsError(
    `--cipher-suites has "${suite}", which is not supported: expected names such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`,
  );
}

function tlsVersion(text: string, whenEmpty: TlsVersion, flag: string): TlsVersion {
  if (text === "") return whenEmpty;
  if (text === "TLS1.2") return "TLSv1.2";
  if (text === "TLS1.3") return "TLSv1.3";
  throw new SettingsError(`--${flag}="${text}" is wrong: expected TLS1.2 or TLS1.3`);
}
