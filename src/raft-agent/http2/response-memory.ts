/**
 * Accounts for the memory of responses on their way to clients, over all connections of a server: responses being
 * built, responses queued in streams, and output buffers. Beyond the limit the slowest-reading connections are closed.
 */
import { SlabPool } from "./slab-pool.ts";

/** The default limit of a server. */
const defaultMaxBytes = 1024 * 1_048_576;

export class ResponseMemory {
  readonly maxBytes: number;
  readonly slabs: SlabPool = new SlabPool();
  /** Queued in streams, until the windows of the client and the socket admit them. */
  waitingBytes = 0;
  /** Reserved for responses that are being built. */
  reservedBytes = 0;

  constructor(maxBytes: number = defaultMaxBytes) {
    this.maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.waitingBytes + this.reservedBytes + this.slabs.inUseBytes;
  }

  hasRoomFor(bytes: number): boolean {
    return this.usedBytes + bytes <= this.maxBytes;
  }
}
