/**
 * The memory limit of a member's responses on their way to clients, see "Memory for responses" in
 * docs/ARCHITECTURE.md.
 */
import { totalmem } from "node:os";

const mostBytes = 1024 * 1_048_576;

/** A quarter of the memory available to the process, of its control group or of the machine, and at most 1 GiB. */
export function responseMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  // Without a limit some systems report 0, and others a number beyond all physical memory.
  const availableBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.min(mostBytes, Math.floor(availableBytes / 4));
}
