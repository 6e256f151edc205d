// The files of a state directory in memory, with the two ways to lose some: a crash of the machine, and a bad disk.

const TABLE_FILES = /\.(table|journal)$/;

/** Files by name. What was written outlives the process; what was appended outlives it too, but not the machine. */
export class MemoryFiles {
  readonly files = new Map<string, Buffer>();
  readonly #synced = new Map<string, Buffer>();
  /** While set, affected files can be neither written nor removed. */
  failure: string | undefined;
  /** While set, changes of affected files wait for it. */
  hold: Promise<void> | undefined;
  /** Which files `failure` and `hold` affect. */
  affected = /./;
  #endHold = () => {};

  async list(): Promise<readonly string[]> {
    return [...this.files.keys()];
  }

  async read(name: string): Promise<Buffer | undefined> {
    return this.files.get(name);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#change(name);
    this.files.set(name, Buffer.from(bytes));
    this.#synced.set(name, Buffer.from(bytes));
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    await this.#change(name);
    this.files.set(name, Buffer.concat([this.files.get(name) ?? Buffer.alloc(0), bytes]));
  }

  async remove(name: string): Promise<void> {
    await this.#change(name);
    this.files.delete(name);
    this.#synced.delete(name);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#change(from);
    const bytes = this.files.get(from);
    if (!bytes) throw new Error(`ENOENT: ${from}`);
    this.files.delete(from);
    this.files.set(to, bytes);
  }

  /** What the next process finds. This one was killed: what it still writes goes nowhere. */
  takeOver(): MemoryFiles {
    const next = new MemoryFiles();
    for (const [name, bytes] of this.files) next.files.set(name, bytes);
    for (const [name, bytes] of this.#synced) next.#synced.set(name, bytes);
    next.failure = this.failure;
    next.hold = this.hold;
    next.affected = this.affected;
    next.#endHold = this.#endHold;
    return next;
  }

  /** From now on tables can be written, cannot be (`full`), or are written when the disk is set anew (`slow`). */
  setDisk(disk: 'good' | 'full' | 'slow'): void {
    this.#endHold();
    this.affected = TABLE_FILES;
    this.failure = disk === 'full' ? 'ENOSPC' : undefined;
    this.hold = undefined;
    if (disk !== 'slow') return;
    this.hold = new Promise((resolve) => {
      this.#endHold = resolve;
    });
  }

  /** The machine crashed: everything that was not synced is gone. */
  loseCache(): void {
    this.files.clear();
    for (const [name, bytes] of this.#synced) this.files.set(name, bytes);
  }

  /** The only file whose name ends so. */
  only(suffix: string): string {
    const names = [...this.files.keys()].filter((name) => name.endsWith(suffix));
    if (names.length !== 1 || !names[0]) throw new Error(`${names.length} files end in ${suffix}`);
    return names[0];
  }

  async #change(name: string): Promise<void> {
    if (!this.affected.test(name)) return;
    await this.hold;
    if (this.failure !== undefined) throw new Error(this.failure);
  }
}
