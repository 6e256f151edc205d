// Hosts: they appear with their agent's first hello; operators manage, maintain, fence and forget them.
//
//   H1. Before a host is welcomed, what was stored of its silence and its fence is gone, and under this holder's epoch: what
//       an older holder still writes meets another revision (protocol.md §4).
//   H2. In one process hellos, fences, silences and the end of a host are written one after another, each after a look at
//       whether it is there. So whoever says hello while it is deleted is there until that is refused.
//   H3. A deletion writes what it knows only while this server leads, and only into networks of its epoch: of a host that
//       another holder heard the revision is another one, and a network that it claimed is that one's.

import { type Author, auditEvent, hostChange } from '../domain/audit.js';
import {
  hostConnected,
  hostMayAnswerAnywhere,
  hostNotFound,
  hostNotKnownAway,
  noHolder,
  type Refused,
  type Result,
  success,
} from '../domain/errors.js';
import { hostEtag } from '../domain/etag.js';
import type { Host } from '../domain/host.js';
import type { HostId, NetworkId, Revision } from '../domain/ids.js';
import type { Labels, Network } from '../domain/network.js';
import type { HostDirectory, HostReport } from '../ports/host-directory.js';
import { checkEtag, untilNoConflict } from './change.js';
import { type Call, type Context, newUid, readOrRemember, rememberNow, wallTime } from './context.js';
import type { Fleet } from './fleet.js';
import { dropKept, keepInNetworks } from './former-servers.js';
import type { HostAnswers } from './host-answers.js';
import { attachmentsOf } from './host-status.js';
import type { KeyedQueue } from './keyed-queue.js';
import { type Page, type PageRequest, pageOf } from './paging.js';

/** What an operator chooses of a host. */
export interface HostSettings {
  readonly managed: boolean;
  readonly maintenance: boolean;
  readonly labels: Labels;
}

/** The use cases. */
export class Hosts implements HostDirectory {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #writes: KeyedQueue;
  readonly #answers: () => HostAnswers | undefined;

  /** `writes`: what is written of a host's silence; `answers`: what the holder knows of that. */
  constructor(context: Context, fleet: Fleet, writes: KeyedQueue, answers: () => HostAnswers | undefined) {
    this.#context = context;
    this.#fleet = fleet;
    this.#writes = writes;
    this.#answers = answers;
  }

  /** Stores that a host said hello, and what its agent reports. */
  greeted(report: HostReport, epoch: number): Promise<void> {
    return this.#writes.run(report.hostId, () =>
      this.#store(report, (host) => {
        if ((host.heardEpoch ?? 0) > epoch) throw new Error('Another server leads');
        this.#answers()?.greeted(host);
        const { silentForS: _s, fence: _f, ...heard } = host;
        return { ...heard, heardEpoch: epoch };
      }),
    );
  }

  /** Stores what an agent reports of its host, if that is new. Its settings stay. */
  reported(report: HostReport): Promise<void> {
    return this.#store(report, (host) => host);
  }

  async #store(report: HostReport, noted: (host: Host) => Host): Promise<void> {
    const { store } = this.#context;
    const result = await untilNoConflict(`Host ${report.hostId}`, async () => {
      const before = await store.hosts.get(report.hostId);
      const after = noted(before ? { ...before, ...report } : this.#newHost(report));
      if (before && JSON.stringify(reportOf(before)) === JSON.stringify(reportOf(after))) return success(before);
      const written = await store.hosts.put(after);
      return written === 'conflict' ? 'conflict' : success(written);
    });
    if (!result.ok) throw new Error(result.error.message);
  }

  #newHost(report: HostReport): Host {
    const now = wallTime(this.#context);
    return {
      ...report,
      uid: newUid(this.#context),
      managed: true,
      maintenance: false,
      labels: {},
      createTime: now,
      updateTime: now,
      revision: 0 as Revision,
    };
  }

  /** Answers one host. */
  async get(hostId: HostId, call: Pick<Call, 'stale'>): Promise<Result<Host>> {
    const { store, view } = this.#context;
    const read = () => store.hosts.get(hostId);
    const host = await readOrRemember(this.#context, call, read, () => view.hosts.get(hostId));
    return host ? success(host) : hostNotFound(hostId);
  }

  /** Lists hosts by id; only those that have `networkId` attached when it is given. */
  list(networkId: NetworkId | undefined, page: PageRequest, call: Pick<Call, 'stale'>): Result<Page<Host>> {
    const { view, hosts } = this.#context;
    const has = (host: Host) =>
      attachmentsOf(hosts.host(host.hostId), host).some((each) => each.networkId === networkId);
    const found = [...view.hosts.values()].filter((host) => networkId === undefined || has(host));
    return rememberNow(
      this.#context,
      call,
      pageOf(['hosts', networkId], found, ({ hostId }) => hostId, page),
    );
  }

  /** Changes settings; those that are not in `patch` stay. */
  update(hostId: HostId, patch: Partial<HostSettings>, etag: string, author: Author): Promise<Result<Host>> {
    const { store } = this.#context;
    return untilNoConflict(`Host ${hostId}`, async () => {
      const before = await store.hosts.get(hostId);
      if (!before) return hostNotFound(hostId);
      const guard = checkEtag(`Host ${hostId}`, etag, hostEtag(before));
      if (guard) return guard;
      const after = { ...before, ...patch };
      if (hostEtag(after) === hostEtag(before)) return success(before);
      return this.#put('UpdateHost', author, before, { ...after, updateTime: wallTime(this.#context) });
    });
  }

  /**
   * Forgets a host that is not connected; networks go on knowing that it may still answer. Of a host that was not heard
   * since this server leads, or stood still, nobody knows that until it must have been heard.
   */
  async delete(hostId: HostId, etag: string, author: Author): Promise<Result<undefined>> {
    const what = `Host ${hostId}`;
    const deleted = await this.#writes.run(hostId, () =>
      untilNoConflict(what, () => this.#deleteOnce(hostId, etag, author)),
    );
    // Behind the hello that refused it: that one need not wait for more.
    if (!deleted.ok) await this.#writes.run(hostId, () => this.#dropKept(hostId));
    return deleted;
  }

  async #deleteOnce(hostId: HostId, etag: string, author: Author): Promise<Result<undefined> | 'conflict'> {
    const { store, lease, tell } = this.#context;
    const before = await store.hosts.get(hostId);
    if (!before) return hostNotFound(hostId);
    const guard = checkEtag(`Host ${hostId}`, etag, hostEtag(before));
    if (guard) return guard;
    const { epoch } = lease;
    const refused = this.#refuseUnlessAway(before, epoch) ?? this.#refuseAnywhere(before);
    if (refused) return refused;
    const unkept = await this.#keepInNetworks(before, epoch);
    if (unkept) return unkept;
    const refusedLate = this.#refuseUnlessAway(before, epoch);
    if (refusedLate) return refusedLate;
    const event = auditEvent('DeleteHost', author, before, wallTime(this.#context), hostChange(before, undefined));
    if ((await store.hosts.remove(before, event)) === 'conflict') return 'conflict';
    tell(event);
    return success(undefined);
  }

  /** What is known of its silence goes on in the networks that it may answer. */
  #keepInNetworks(host: Host, epoch: number | undefined): Promise<Refused | undefined> {
    const known = this.#answers()?.silenceOf(host) ?? {};
    return keepInNetworks(
      this.#context,
      host,
      known,
      (network) => this.#refuseUnlessAway(host, epoch) ?? this.#refuseUnlessClaimed(network, epoch),
    );
  }

  async #dropKept(hostId: HostId): Promise<void> {
    const { store, lease } = this.#context;
    const host = await store.hosts.get(hostId);
    const { epoch } = lease;
    if (host) await dropKept(this.#context, host, (network) => this.#refuseUnlessClaimed(network, epoch));
  }

  /** To be asked after the read: who lost the lead meanwhile knows of no session any more. */
  #refuseUnlessAway(host: Host, epoch: number | undefined): Refused | undefined {
    const { lease, hosts } = this.#context;
    const { hostId } = host;
    if (lease.epoch === undefined || lease.epoch !== epoch) return noHolder(lease.holder);
    if (hosts.isPresent(hostId)) return hostConnected(hostId);
    const { heard, liveness } = this.#fleet.lookAt(host);
    return !heard && liveness !== 'down' ? hostNotKnownAway(hostId) : undefined;
  }

  /** Networks that do not know a host cannot go on knowing it. */
  #refuseAnywhere(host: Host): Refused | undefined {
    return this.#answers()?.mayAnswerAnywhere(host) ? hostMayAnswerAnywhere(host.hostId) : undefined;
  }

  #refuseUnlessClaimed({ holderEpoch }: Network, epoch: number | undefined): Refused | undefined {
    const { lease } = this.#context;
    return lease.epoch !== undefined && lease.epoch === epoch && holderEpoch === epoch
      ? undefined
      : noHolder(lease.holder);
  }

  /** Takes somebody's word that a host is dead: what waits only because it is silent waits no more. */
  fence(hostId: HostId, reason: string, author: Author): Promise<Result<Host>> {
    const { store, lease } = this.#context;
    return this.#writes.run(hostId, () =>
      untilNoConflict(`Host ${hostId}`, async () => {
        const before = await store.hosts.get(hostId);
        if (!before) return hostNotFound(hostId);
        const refused = this.#refuseUnlessAway(before, lease.epoch);
        if (refused) return refused;
        const fence = { reason, by: author.caller, time: wallTime(this.#context) };
        return this.#put('FenceHost', author, before, { ...before, fence });
      }),
    );
  }

  async #put(method: string, author: Author, before: Host, after: Host): Promise<Result<Host> | 'conflict'> {
    const { store, tell } = this.#context;
    const event = auditEvent(method, author, before, wallTime(this.#context), hostChange(before, after));
    const written = await store.hosts.put(after, event);
    if (written === 'conflict') return 'conflict';
    tell(event);
    return success(written);
  }
}

type Noted = HostReport & Pick<Host, 'heardEpoch' | 'silentForS' | 'fence'>;

function reportOf({ attachments, failureDomain, backend, agentVersion, heardEpoch, silentForS, fence }: Noted) {
  const byNetwork = attachments.map(({ networkId, interface: name, foreignServers = [] }) => {
    const foreign = foreignServers.map(({ address, mac = '' }) => `${address} ${mac}`).sort();
    return [networkId, name, ...foreign].join('/');
  });
  return [byNetwork.sort(), failureDomain, backend, agentVersion, heardEpoch, silentForS, fence];
}
