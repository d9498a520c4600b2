/**
 * Every stored revision of every key as numbers in typed arrays: 28 bytes each, linked from newest to oldest per key.
 * A record is identified by its position (0 = none). A tombstone has version 0.
 */
const leaseMark = 0x8000_0000;

export class VersionChains {
  #mains = new Float64Array(1024);
  #createds = new Float64Array(1024);
  #subs = new Uint32Array(1024);
  #versions = new Uint32Array(1024);
  #olders = new Uint32Array(1024);
  #used = 1;
  #firstFree = 0;
  /** Records in use. */
  count = 0;

  /** `leased` means that the stored key-value names a lease, which must be read from disk to know which. */
  add(main: number, sub: number, created: number, version: number, leased: boolean, older: number): number {
    const record = this.#take();
    this.#mains[record] = main;
    this.#createds[record] = created;
    this.#subs[record] = leased ? (sub | leaseMark) >>> 0 : sub;
    this.#versions[record] = version;
    this.#olders[record] = older;
    return record;
  }

  main(record: number): number {
    return this.#mains[record]!;
  }

  /** Revision that created the key; 0 for a tombstone. */
  created(record: number): number {
    return this.#createds[record]!;
  }

  sub(record: number): number {
    return (this.#subs[record]! & ~leaseMark) >>> 0;
  }

  leased(record: number): boolean {
    return this.#subs[record]! >= leaseMark;
  }

  version(record: number): number {
    return this.#versions[record]!;
  }

  older(record: number): number {
    return this.#olders[record]!;
  }

  setOlder(record: number, older: number): void {
    this.#olders[record] = older;
  }

  /** The newest record at or before `revision` in the chain that starts at `head`; 0 if there is none. */
  at(head: number, revision: number): number {
    let record = head;
    while (record !== 0 && this.#mains[record]! > revision) record = this.#olders[record]!;
    return record;
  }

  remove(record: number): void {
    this.#olders[record] = this.#firstFree;
    this.#firstFree = record;
    this.count--;
  }

  get bytes(): number {
    return this.#mains.byteLength * 2 + this.#subs.byteLength * 3;
  }

  #take(): number {
    this.count++;
    if (this.#firstFree !== 0) {
      const record = this.#firstFree;
      this.#firstFree = this.#olders[record]!;
      return record;
    }
    if (this.#used === this.#mains.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    const size = Math.ceil(this.#mains.length * 1.5);
    this.#mains = grown(this.#mains, new Float64Array(size));
    this.#createds = grown(this.#createds, new Float64Array(size));
    this.#subs = grown(this.#subs, new Uint32Array(size));
    this.#versions = grown(this.#versions, new Uint32Array(size));
    this.#olders = grown(this.#olders, new Uint32Array(size));
  }
}

/** Copies `from` into the larger `to` and returns it. */
export function grown<Numbers extends Float64Array | Uint32Array | Uint8Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}
