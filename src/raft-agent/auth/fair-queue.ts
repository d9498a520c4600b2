/**
 * A bounded queue that is shared fairly: users take turns, and a user's connections take turns, so that those who wait
 * with many requests wait for each other. When it is full, the longest share gives up its newest request for one of a
 * shorter share.
 */
export type Share = { readonly user: string; readonly connection: string };

export class FairQueue<Item> {
  readonly #sizeMax: number;
  /** By user and connection, each in the order in which it has its turn. Nothing in it is empty. */
  readonly #waiting = new Map<string, Map<string, Item[]>>();
  #size = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the item that has no place: another one, `item` itself, or null when there is room for all. */
  push({ user, connection }: Share, item: Item): Item | null {
    const connections = this.#waiting.get(user) ?? new Map<string, Item[]>();
    const items = connections.get(connection) ?? [];
    this.#waiting.set(user, connections);
    connections.set(connection, items);
    items.push(item);
    this.#size++;
    return this.#size > this.#sizeMax ? this.#dropNewest() : null;
  }

  /** The one whose turn it is; undefined when none waits. */
  shift(): Item | undefined {
    const [user, connections] = firstOf(this.#waiting) ?? [];
    if (user === undefined || connections === undefined) return undefined;
    const [connection, items] = firstOf(connections)!;
    const item = items.shift();
    connections.delete(connection);
    if (items.length > 0) connections.set(connection, items);
    this.#waiting.delete(user);
    if (connections.size > 0) this.#waiting.set(user, connections);
    this.#size--;
    return item;
  }

  /** Empties it. */
  takeAll(): Item[] {
    const all: Item[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    return all;
  }

  /** Of the user with the most, of its connection with the most; the latest among equals. */
  #dropNewest(): Item {
    const [user, connections] = longestOf(this.#waiting, (shares) =>
      [...shares.values()].reduce((sum, items) => sum + items.length, 0),
    );
    const [connection, items] = longestOf(connections, ({ length }) => length);
    const dropped = items.pop()!;
    if (items.length === 0) connections.delete(connection);
    if (connections.size === 0) this.#waiting.delete(user);
    this.#size--;
    return dropped;
  }
}

function firstOf<Value>(map: ReadonlyMap<string, Value>): readonly [string, Value] | undefined {
  return map.entries().next().value;
}

function longestOf<Value>(
  map: ReadonlyMap<string, Value>,
  lengthOf: (value: Value) => number,
): readonly [string, Value] {
  return [...map.entries()].reduce((longest, each) => (lengthOf(each[1]) >= lengthOf(longest[1]) ? each : longest));
}
