/** How much memory a member's answers may take on their way to clients, see "Memory for responses" in docs/ARCHITECTURE.md. */
import { totalmem } from "node:os";

const mostBytes = 1024 * 1_048_576;

/** A quarter of what the process may use, of its control group or of the machine, and 1 GiB at the most. */
export function answerMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  // Without a limit some systems tell 0, and others a number beyond all memory there is.
  const availableBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.min(mostBytes, Math.floor(availableBytes / 4));
}
