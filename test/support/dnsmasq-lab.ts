// A network served by a real dnsmasq, without agent and control plane: its table and its gate are in the test's hands.
// Everything is in the namespace of the sandbox itself; guests are raw sockets on a veth of the bridge.

import { join } from 'node:path';
import { DnsmasqBackend } from '@leasehold/agent/backends/dnsmasq/dnsmasq-backend';
import type { DnsmasqServer } from '@leasehold/agent/backends/dnsmasq/dnsmasq-server';
import { KeeperClient } from '@leasehold/agent/backends/dnsmasq/keeper-client';
import { removeOthers, SystemFiles } from '@leasehold/agent/backends/dnsmasq/system-files';
import { systemGhosts } from '@leasehold/agent/backends/dnsmasq/system-ghosts';
import { SystemKeeper } from '@leasehold/agent/backends/dnsmasq/system-keeper';
import { systemServiceAddresses } from '@leasehold/agent/backends/host/system-service-addresses';
import { MESSAGE_TYPE, OPTION } from '@leasehold/agent/domain/dhcp/codes';
import { type DhcpMessage, decode, encode, MIN_MAX_BYTES } from '@leasehold/agent/domain/dhcp/message';
import { u8, u32 } from '@leasehold/agent/domain/dhcp/option-values';
import { NetworkTable } from '@leasehold/agent/domain/table';
import { boottimeNow } from '@leasehold/agent/system/boottime';
import { firstAddressOf, systemInterfaces } from '@leasehold/agent/system/interfaces';
import { systemClock } from '@leasehold/program/system-clock';
import type { Ipv4, Mac } from '@leasehold/proto/values';
import { MemoryLog } from '../fakes/memory-log.js';
import { type GuestSocket, openGuestSocket } from './guest-socket.js';
import { dnsmasqIn } from './kept-processes.js';
import { repositoryRoot } from './repository.js';
import { runOrThrow } from './run.js';
import { temporaryDirectory } from './sandbox.js';

const ANSWER_PATIENCE_MS = 300;
const NO_ADDRESS = 0 as Ipv4;

/** Asks for everything that may be told. */
const EVERYTHING = [
  ...[1, 3, 6, 7, 12, 15, 17, 26, 28, 42, 44, 46, 51, 54, 58, 59, 66, 67],
  ...[100, 101, 114, 119, 121, 150, 209, 210, 252],
];

/** A bridge, a guest's wire, and what an agent has of the dnsmasq backend. Several may follow each other on one directory. */
export class DnsmasqLab implements AsyncDisposable {
  static #labs = 0;
  readonly #number = DnsmasqLab.#labs++;
  readonly bridge = `dq${this.#number}`;
  readonly #directory = temporaryDirectory('dnsmasq-');
  readonly #clock = systemClock(boottimeNow);
  readonly log = new MemoryLog();
  readonly table = new NetworkTable();
  /** Until when it may answer; for ever, as far as tests go. */
  untilMs = boottimeNow() + 3_600_000;
  readonly keeper: SystemKeeper;
  #client: KeeperClient;
  #socket: GuestSocket | undefined;
  #inbox: ((message: DhcpMessage) => void) | undefined;
  #xid = 1;
  server: DnsmasqServer;

  private constructor() {
    const program = join(repositoryRoot, 'agent/dist/keeper/main.js');
    this.keeper = new SystemKeeper(program, this.#directory.path, this.#clock);
    this.#client = new KeeperClient(this.keeper, this.#clock, this.log);
    this.server = this.#open();
  }

  /** A lab whose wires are up; nothing is assigned yet. */
  static async start(): Promise<DnsmasqLab> {
    const lab = new DnsmasqLab();
    const [bridge, port, guest] = [lab.bridge, `${lab.bridge}p`, `${lab.bridge}g`];
    const lines = [
      `link add ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
      `link set ${bridge} up`,
      `link add ${port} type veth peer name ${guest}`,
      `link set ${port} master ${bridge} up`,
      `link set ${guest} up`,
    ];
    await runOrThrow('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
    // The guest's end is in the server's namespace: answers come from an address of our own.
    const settings = [bridge, guest, 'all'].flatMap((name) => [`${name}/rp_filter=0`, `${name}/accept_local=1`]);
    for (const setting of settings) {
      const [path, value] = setting.split('=');
      await runOrThrow('sh', ['-c', `echo ${value} > /proc/sys/net/ipv4/conf/${path}`]);
    }
    lab.#socket = openGuestSocket(guest, (bytes) => {
      const decoded = decode(bytes);
      if (decoded.ok && decoded.message.op === 'reply') lab.#inbox?.(decoded.message);
    });
    lab.attach();
    return lab;
  }

  /** Where keeper and networks have their files. */
  get directory(): string {
    return this.#directory.path;
  }

  /** The dnsmasq processes of this lab that are there. */
  pids(): readonly number[] {
    return dnsmasqIn(this.directory);
  }

  /** Plugs the server in. */
  attach(): void {
    const link = systemInterfaces.readLink(this.bridge);
    if ('absent' in link) throw new Error(link.absent);
    this.server.attach(link);
  }

  /** The agent is gone without a word, and another one begins with the same table. */
  async restart(): Promise<void> {
    await this.server.suspend();
    await this.#client.close();
    this.#client = new KeeperClient(this.keeper, this.#clock, this.log);
    this.server = this.#open();
    this.attach();
  }

  /** DISCOVER and REQUEST of a guest; its ACK, or nothing. */
  async exchange(mac: Mac): Promise<DhcpMessage | undefined> {
    const offer = await this.ask(mac, MESSAGE_TYPE.discover);
    const serverId = offer?.options.get(OPTION.serverId);
    if (!offer || !serverId) return undefined;
    return this.ask(mac, MESSAGE_TYPE.request, [
      [OPTION.requestedAddress, u32(offer.yiaddr)],
      [OPTION.serverId, serverId],
    ]);
  }

  /** The answer to one message. */
  async ask(
    mac: Mac,
    type: number,
    options: readonly (readonly [number, Uint8Array])[] = [],
  ): Promise<DhcpMessage | undefined> {
    const request = this.request(mac, type, options);
    const answer = new Promise<DhcpMessage | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ANSWER_PATIENCE_MS);
      this.#inbox = (message) => {
        if (message.xid !== request.xid) return;
        clearTimeout(timer);
        resolve(message);
      };
    });
    this.#socket?.send(encode(request, MIN_MAX_BYTES).bytes);
    return answer;
  }

  /** A message of a guest that asks for every option. */
  request(mac: Mac, type: number, options: readonly (readonly [number, Uint8Array])[] = []): DhcpMessage {
    return {
      op: 'request',
      xid: this.#xid++,
      flags: 0x8000,
      ...{ ciaddr: NO_ADDRESS, yiaddr: NO_ADDRESS, siaddr: NO_ADDRESS, giaddr: NO_ADDRESS },
      mac,
      options: new Map([
        [OPTION.messageType, u8(type)],
        [OPTION.parameterList, Uint8Array.from(EVERYTHING)],
        [OPTION.maxMessageSize, Uint8Array.of(1_500 >> 8, 1_500 & 255)],
        ...options,
      ]),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await this.#client.close();
    this.#socket?.close();
    await runOrThrow('ip', ['link', 'delete', this.bridge]);
    this.#directory[Symbol.dispose]();
  }

  #open(): DnsmasqServer {
    const backend = new DnsmasqBackend(this.#directory.path, {
      clock: this.#clock,
      log: this.log,
      processes: this.#client,
      ghosts: systemGhosts(this.#clock),
      serviceAddresses: systemServiceAddresses,
      prepareInterface: () => undefined,
      firstAddressOf,
      openFiles: (path) => new SystemFiles(path),
      removeOthers,
    });
    return backend.open(`lab${this.#number}`, this.table, {
      standing: () => (boottimeNow() < this.untilMs ? 'synchronised' : 'silent'),
      untilMs: () => this.untilMs,
    });
  }
}
