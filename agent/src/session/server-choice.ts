// Which server is dialled next.
//
//   F1. The configured servers are tried in turn. One that does not lead and names the one that does is believed for the
//       next dial only: after that one it is the turn of the configured ones again, whatever it says.
//   F2. Until a session opens, or it is the turn of a configured server again, nobody is dialled twice, and at most
//       MAX_FOLLOWED are followed: servers that name each other cost a dial each, and then the wait of a failure.
//   F3. The last server that was found by following and opened a session is tried in turn, too: those that are configured
//       may be away while it just restarts. Nothing of it is kept beyond the process.
//   F4. Who was named, and dialled in vain, is passed over when its own turn comes right then: one that stands still, or is cut
//       off, may have kept the agent waiting for ten seconds. Who had a session is not: it may only have been restarted.
//   F5. A round is over when every server was tried in turn once: nobody waits long because one of several is away.

const MAX_FOLLOWED = 3;

/** See the top of the file. */
export class ServerChoice {
  readonly #configured: readonly string[];
  #next = 0;
  /** Found by following; see F3. */
  #found: string | undefined;
  #named: string | undefined;
  /** Dialled since, and with, the last one that was not named. */
  #asked: string[] = [];
  /** Tried in turn in the present round. */
  #tried = 0;
  #nextOther = 0;

  constructor(configured: readonly string[]) {
    this.#configured = configured;
  }

  /** The one to dial now. */
  take(): string {
    const server = this.#named ?? this.#inTurn();
    if (server === undefined) throw new Error('agent: there is no server to dial');
    this.#asked = this.#named === undefined ? [server] : [...this.#asked, server];
    this.#named = undefined;
    return server;
  }

  #inTurn(): string | undefined {
    const next = this.#nextTurn();
    return this.#asked.length > 1 && next === this.#asked.at(-1) ? this.#nextTurn() : next;
  }

  #nextTurn(): string | undefined {
    const turns = this.#turns();
    this.#tried++;
    return turns[this.#next++ % turns.length];
  }

  #turns(): readonly string[] {
    return this.#found === undefined ? this.#configured : [...this.#configured, this.#found];
  }

  /** Whether every server was tried since this was last so, or one was left that led; if so, another round begins. */
  isRoundOver(): boolean {
    if (this.#tried < this.#turns().length) return false;
    this.#tried = 0;
    return true;
  }

  /** Whether others wait for their turn in this round, and nobody said that it is the one taken last that leads. */
  get isOneOfSeveral(): boolean {
    return this.#asked.length === 1 && this.#tried < this.#turns().length;
  }

  /** Another one than `present`, in turn; undefined: there is none. */
  other(present: string): string | undefined {
    const others = this.#turns().filter((server) => server !== present);
    return others[this.#nextOther++ % others.length];
  }

  /** A session with `server` is open. */
  opened(server: string): void {
    if (!this.#configured.includes(server)) {
      this.#found = server;
      // After it those that are configured come first.
      this.#next %= this.#configured.length;
    }
    // It led: whoever it names later may have been asked before.
    this.#asked = [server];
    this.#tried = this.#turns().length;
  }

  /** The one dialled last named `server`; answers whether that is who is dialled next. */
  follow(server: string): boolean {
    if (this.#asked.includes(server) || this.#asked.length > MAX_FOLLOWED) return false;
    this.#named = server;
    return true;
  }
}
