/** What the configuration files of keepalived on this machine say. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { UnitPaths } from "./machine-dir.ts";

/** Of a unit's own keepalived; empty if it cannot be read. */
export function keepalivedConfigOf({ files }: Pick<UnitPaths, "files">): string {
  return readConfig(join(files, "keepalived.conf"));
}

/** Empty for a directory, and for a file that cannot be read. */
export function readConfig(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** The virtual addresses in a configuration, without their prefix lengths; what follows a `#` or `!` is a comment. */
export function virtualAddressesIn(config: string): readonly string[] {
  const blocks = config.replaceAll(/[#!].*/g, "").matchAll(/\bvirtual_ipaddress(?:_excluded)?\s*\{([^}]*)\}/g);
  return [...blocks].flatMap(([, block = ""]) => block.split("\n").flatMap(addressOfLine));
}

/** Behind the address are its device, scope and label. */
function addressOfLine(line: string): readonly string[] {
  const [address = ""] = line.trim().split(/[\s/]/);
  return address === "" ? [] : [address];
}
