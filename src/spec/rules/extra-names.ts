/** Names for the masters' certificates: only what a certificate can contain, and what a client could connect to. */
import { isIP } from "node:net";
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

const label = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?";
const dnsName = new RegExp(`^(\\*\\.)?${label}(\\.${label})*$`);

export const checkExtraNames: SpecRule = ({ controlPlane }) => {
  const tls = controlPlane?.entries.tls?.entries;
  return (tls?.extraNames?.items ?? []).flatMap((name) => {
    if (name === null || isIP(name.value) !== 0 || (dnsName.test(name.value) && name.value.length <= 253)) return [];
    return [
      findingAt(name.pointer, {
        code: "spec/certificate-name",
        summary: `"${name.value}" cannot be a name in a certificate`,
        detail: "Write a DNS name or an IP address, without scheme and port, such as etcd.example.com or 10.0.0.99.",
      }),
    ];
  });
};
