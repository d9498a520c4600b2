/** The network of the test hosts: a bridge of this machine that leads nowhere else. */
import { execa } from "execa";

/**
 * Hosts of different networks can be on one machine at the same time: each run has its own, and each further worker of the
 * test runner one that is a hundred higher. From 1 to 154.
 */
export const network: number =
  Number(process.env["HAPLAN_TEST_HOSTS_NETWORK"] ?? 64) + 100 * (Number(process.env["VITEST_POOL_ID"] ?? 1) - 1);

const bridge = `haplan-${network}`;
const ipv4Prefix = `10.97.${network}`;
const ipv6Prefix = `fd97:6470:${network}::`;

export type HostAddresses = { readonly ipv4: string; readonly ipv6: string };

export const bridgeName: string = bridge;
/** Of this machine, as its hosts see it. */
export const bridgeAddress: string = `${ipv4Prefix}.1`;

/** Of the host with this number, from 1. */
export function addressesOf(number: number): HostAddresses {
  return { ipv4: `${ipv4Prefix}.${10 + number}`, ipv6: `${ipv6Prefix}${(10 + number).toString(16)}` };
}

/** A file for systemd-networkd. It sorts before systemd's own for containers. */
export function networkFile({ ipv4, ipv6 }: HostAddresses): string {
  return `[Match]
Name=host0

[Network]
Address=${ipv4}/24
Address=${ipv6}/64
IPv6AcceptRA=no
LinkLocalAddressing=no
`;
}

/** Makes the bridge where it is not there yet. */
export async function makeBridge(): Promise<void> {
  const found = await execa("ip", ["link", "show", bridge], { reject: false });
  if (found.exitCode === 0) return;
  await execa("ip", ["link", "add", bridge, "type", "bridge"]);
  await execa("ip", ["address", "add", `${bridgeAddress}/24`, "dev", bridge]);
  await execa("ip", ["address", "add", `${ipv6Prefix}1/64`, "dev", bridge, "nodad"], { reject: false });
  await execa("ip", ["link", "set", bridge, "up"]);
}

export async function removeBridge(): Promise<void> {
  await execa("ip", ["link", "delete", bridge], { reject: false });
}
