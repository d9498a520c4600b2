/**
 * A bounded queue that is shared fairly. An item belongs to a share, a share to a larger one, and so on: for example a
 * connection, its host, its user. At each level the shares take turns, so that those who wait with many items wait for
 * each other. A share that has had no turn yet comes before those that have, the latest first: in a crowd, those who have
 * waited longest are the first to give up. When the queue is full, the largest share gives up an item.
 */
export class FairQueue<Item> {
  readonly #sizeMax: number;
  readonly #root: Share<Item> = new Share();

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#root.size;
  }

  /** `path`: the item's shares, the largest first. Returns the item that has no place, perhaps `item`; null if all have. */
  push(path: readonly string[], item: Item): Item | null {
    this.#root.push(path, item);
    return this.size > this.#sizeMax ? this.#root.drop() : null;
  }

  /** The item whose turn it is; undefined when none waits. */
  shift(): Item | undefined {
    return this.size === 0 ? undefined : this.#root.shift();
  }

  /** Empties it. */
  takeAll(): Item[] {
    const all: Item[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    return all;
  }
}

/** Holds either items or smaller shares. No share within it is empty. */
class Share<Item> {
  size = 0;
  readonly #items: Item[] = [];
  /** That had a turn, in the order in which the next one comes. */
  readonly #served = new Map<string, Share<Item>>();
  /** That had none, in the order in which they came. */
  readonly #arrived = new Map<string, Share<Item>>();

  push([name, ...rest]: readonly string[], item: Item): void {
    this.size++;
    if (name === undefined) this.#items.push(item);
    else this.#share(name).push(rest, item);
  }

  /** To be called when it is not empty. */
  shift(): Item {
    this.size--;
    if (this.#items.length > 0) return this.#items.shift()!;
    const [name, share] = [...this.#arrived].at(-1) ?? [...this.#served][0]!;
    const item = share.shift();
    this.#arrived.delete(name);
    this.#served.delete(name);
    if (share.size > 0) this.#served.set(name, share);
    return item;
  }

  /** The newest item of the largest share; of equal ones, of the one that would wait longest. */
  drop(): Item {
    this.size--;
    if (this.#items.length > 0) return this.#items.pop()!;
    const shares = [...[...this.#served].toReversed(), ...this.#arrived];
    const [name, share] = shares.reduce((largest, each) => (each[1].size > largest[1].size ? each : largest));
    const item = share.drop();
    if (share.size === 0) {
      this.#arrived.delete(name);
      this.#served.delete(name);
    }
    return item;
  }

  #share(name: string): Share<Item> {
    const known = this.#served.get(name) ?? this.#arrived.get(name);
    if (known !== undefined) return known;
    const share = new Share<Item>();
    this.#arrived.set(name, share);
    return share;
  }
}
