// Subnets: created, read, changed, deleted, inside their network's document.
//
//   S1. Subnets of one network never overlap: the check and the write are one compare-and-set.
//   S2. What a change forbids (a whole subnet, a gateway, exclusions) is marked first, then looked for in the slots,
//       then made by a write that requires that very mark (protocol.md §2.3). Reservers look for the mark after their
//       write, so that one of the two always sees the other.

import { delay } from '@leasehold/program/clock';
import { firstAddress, formatCidr, lastAddress } from '@leasehold/proto/values';
import { type AuditEvent, type Author, auditEvent, subnetChange } from '../domain/audit.js';
import {
  invalidField,
  invalidFields,
  networkNotFound,
  type Refused,
  type Result,
  rangeInUse,
  subnetExists,
  subnetInUse,
  subnetNotFound,
  subnetOverlap,
  success,
} from '../domain/errors.js';
import { subnetEtag } from '../domain/etag.js';
import type { NetworkId, SubnetId } from '../domain/ids.js';
import type { Mark, Network, Subnet } from '../domain/network.js';
import type { Slot } from '../domain/slot.js';
import {
  checkSubnetSettings,
  covers,
  forbiddenBy,
  newlyForbidden,
  overlapping,
  type SubnetSettings,
} from '../domain/subnet-settings.js';
import type { SlotFilter, SlotPage } from '../ports/store.js';
import { changeNetwork, checkEtag, type NetworkChange, untilNoConflict } from './change.js';
import { type Call, type Context, newUid, readOrRemember, rememberNow, wallTime } from './context.js';
import { KeyedQueue } from './keyed-queue.js';
import { type Page, type PageRequest, pageOf } from './paging.js';

/** A subnet with the network it belongs to. */
export interface SubnetInNetwork {
  readonly networkId: NetworkId;
  readonly subnet: Subnet;
}

/** What an update asks for. */
export interface SubnetUpdate {
  /** The network the caller believes it to be in; undefined when it does not say. */
  readonly networkId: NetworkId | undefined;
  /** The settings to change; one that is there and undefined is cleared. */
  readonly patch: Partial<SubnetSettings>;
  readonly etag: string;
}

/** What a change makes of the network and the subnet as they are under the mark; `conflict`: begin again. */
type MarkedChange = (current: Network, subnet: Subnet) => Result<Network> | 'conflict';

/** A subnet that is changed, by whom and how. */
interface Deed {
  readonly method: string;
  readonly author: Author;
  readonly subnetId: SubnetId;
}

const FOREIGN_MARK_MS = 50;

/** The use cases. */
export class Subnets {
  readonly #context: Context;
  readonly #marking = new KeyedQueue();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Creates a subnet, or answers the one that exists with the same settings. */
  async create(
    networkId: NetworkId,
    subnetId: SubnetId,
    settings: SubnetSettings,
    call: Call,
  ): Promise<Result<SubnetInNetwork>> {
    const violations = checkSubnetSettings(settings);
    if (violations.length > 0) return invalidFields(violations);
    const created = newSubnet(this.#context, subnetId, settings, call);
    // Addresses of a former subnet may rest here; no reserver can add one while no subnet holds them.
    const obstacle = await this.#obstacle(networkId, created, forbiddenBy(settings));
    let answer: Subnet = created;
    const change: NetworkChange = (before) => {
      if (!before || before.deleted) return networkNotFound(networkId);
      const present = before.subnets.find((each) => each.subnetId === subnetId);
      if (present) {
        answer = present;
        return sameSettings(present, settings) ? success(before) : subnetExists(subnetId, networkId);
      }
      answer = created;
      const other = overlapping(before, settings.cidr);
      if (other) return subnetOverlap(settings.cidr, other);
      return obstacle ?? success({ ...before, subnets: [...before.subnets, created] });
    };
    const result = await changeNetwork(this.#context, networkId, change, (before, after) =>
      this.#event({ method: 'CreateSubnet', author: call, subnetId }, before, after),
    );
    if (!result.ok) return result;
    return result.value === 'subnet-taken' ? subnetExists(subnetId, undefined) : success({ networkId, subnet: answer });
  }

  /** Answers one subnet. */
  async get(subnetId: SubnetId, call: Pick<Call, 'stale'>): Promise<Result<SubnetInNetwork>> {
    const { store, view } = this.#context;
    const read = () => store.networks.findBySubnet(subnetId);
    const network = await readOrRemember(this.#context, call, read, () => view.subnet(subnetId)?.network);
    const subnet = network && find(network, subnetId);
    return network && subnet ? success({ networkId: network.networkId, subnet }) : subnetNotFound(subnetId);
  }

  /** Lists subnets by id; only those of `networkId` when it is given. */
  list(networkId: NetworkId | undefined, page: PageRequest, call: Pick<Call, 'stale'>): Result<Page<SubnetInNetwork>> {
    const { view } = this.#context;
    const networks = networkId === undefined ? [...view.networks.values()] : [view.network(networkId)];
    const present = networks.flatMap((network) =>
      network ? network.subnets.map((subnet) => ({ networkId: network.networkId, subnet })) : [],
    );
    return rememberNow(
      this.#context,
      call,
      pageOf(['subnets', networkId], present, ({ subnet }) => subnet.subnetId, page),
    );
  }

  /** Changes settings. Guests learn them at their next renewal. */
  async update(subnetId: SubnetId, update: SubnetUpdate, author: Author): Promise<Result<SubnetInNetwork>> {
    const deed: Deed = { method: 'UpdateSubnet', author, subnetId };
    return untilNoConflict(`Subnet ${subnetId}`, async () => {
      const network = await this.#context.store.networks.findBySubnet(subnetId);
      const before = network && find(network, subnetId);
      if (!network || !before) return subnetNotFound(subnetId);
      if (update.networkId !== undefined && update.networkId !== network.networkId) {
        return invalidField(
          'subnet.network_id',
          `Subnet ${subnetId} belongs to network ${network.networkId}, that cannot change`,
        );
      }
      const after = this.#changed(before, update);
      if (!after.ok) return after;
      if (after.value === before) return success({ networkId: network.networkId, subnet: before });
      const forbidden = newlyForbidden(before, after.value);
      const written =
        forbidden.length === 0
          ? await this.#write(deed, network, replaceSubnet(network, after.value))
          : await this.#markAndChange(network.networkId, deed, forbidden, (current, subnet) => {
              // Of the document as it is now: another update may have been acknowledged since.
              const changed = this.#changed(subnet, update);
              if (!changed.ok) return changed;
              // The slots were looked through for what was marked, and for nothing else.
              const isMarked = newlyForbidden(subnet, changed.value).every((range) => covers(forbidden, range));
              return isMarked ? success(replaceSubnet(current, changed.value)) : 'conflict';
            });
      if (written === 'conflict' || !written.ok) return written;
      const subnet = find(written.value, subnetId);
      return subnet ? success({ networkId: network.networkId, subnet }) : subnetNotFound(subnetId);
    });
  }

  #changed(before: Subnet, { patch, etag }: SubnetUpdate): Result<Subnet> {
    const current = subnetEtag(before);
    const guard = checkEtag(`Subnet ${before.subnetId}`, etag, current);
    if (guard) return guard;
    if (patch.cidr !== undefined && formatCidr(patch.cidr) !== formatCidr(before.cidr)) {
      return invalidField('subnet.cidr', 'The CIDR of a subnet cannot be changed, create another subnet');
    }
    const after = withPatch(before, patch);
    const violations = checkSubnetSettings(after);
    if (violations.length > 0) return invalidFields(violations);
    if (subnetEtag(after) === current) return success(before);
    // A shorter lease time is not in force before the longer leases that were given have run out.
    const leaseTimeCeilingS = Math.max(before.leaseTimeCeilingS, after.leaseTimeS);
    return success({ ...after, leaseTimeCeilingS, updateTime: wallTime(this.#context) });
  }

  /** Deletes a subnet in which nothing is reserved. Its quarantined addresses go on resting. */
  async delete(subnetId: SubnetId, etag: string, author: Author): Promise<Result<undefined>> {
    const deed: Deed = { method: 'DeleteSubnet', author, subnetId };
    return untilNoConflict(`Subnet ${subnetId}`, async () => {
      const network = await this.#context.store.networks.findBySubnet(subnetId);
      const subnet = network && find(network, subnetId);
      if (!network || !subnet) return subnetNotFound(subnetId);
      const guard = checkEtag(`Subnet ${subnetId}`, etag, subnetEtag(subnet));
      if (guard) return guard;
      const written = await this.#markAndChange(network.networkId, deed, 'all', (current) =>
        success({ ...current, subnets: current.subnets.filter((each) => each.subnetId !== subnetId) }),
      );
      return written === 'conflict' || !written.ok ? written : success(undefined);
    });
  }

  /** Marks, looks whether a slot stands in the way, then changes under that mark or takes it away again. */
  #markAndChange(
    networkId: NetworkId,
    deed: Deed,
    forbidden: Mark['forbidden'],
    change: MarkedChange,
  ): Promise<Result<Network> | 'conflict'> {
    // One after another in this server: a network has one mark.
    return this.#marking.run(networkId, async () => {
      const { store, clock } = this.#context;
      const { subnetId } = deed;
      const network = await store.networks.get(networkId);
      const subnet = network && find(network, subnetId);
      if (!network || !subnet) return 'conflict';
      if (network.mark) {
        // Somebody else's, or of a server that died: it goes soon, or the holder clears it.
        await delay(clock, FOREIGN_MARK_MS);
        return 'conflict';
      }
      const since = wallTime(this.#context);
      const mark: Mark = { operationId: newUid(this.#context), subnetId, forbidden, since };
      const marked = await store.networks.put({ ...network, mark });
      if (marked === 'conflict' || marked === 'subnet-taken') return 'conflict';
      const obstacle = await this.#obstacle(networkId, subnet, forbidden);
      return this.#underMark(marked, mark, deed, obstacle ? () => obstacle : change);
    });
  }

  /** Changes and unmarks, whatever else changes in the document meanwhile; `conflict` when the mark is gone. */
  async #underMark(
    marked: Network,
    mark: Mark,
    deed: Deed,
    change: MarkedChange,
  ): Promise<Result<Network> | 'conflict'> {
    const { store } = this.#context;
    let current: Network | undefined = marked;
    while (current?.mark?.operationId === mark.operationId) {
      const subnet = find(current, mark.subnetId);
      const changed = subnet ? change(current, subnet) : subnetNotFound(mark.subnetId);
      const made = changed !== 'conflict' && changed.ok ? changed.value : current;
      const written = await this.#write(deed, current, unmarked(made));
      if (written !== 'conflict') return made === current ? changed : written;
      current = await store.networks.get(marked.networkId);
    }
    return 'conflict';
  }

  /** The refusal that names a slot which stands in the way, if there is one. */
  async #obstacle(networkId: NetworkId, subnet: Subnet, forbidden: Mark['forbidden']): Promise<Refused | undefined> {
    const { subnetId, cidr } = subnet;
    if (forbidden === 'all') {
      const inSubnet = { networkId, from: firstAddress(cidr), to: lastAddress(cidr) };
      const reserved = await this.#findSlot({ ...inSubnet, state: 'reserved' });
      return reserved && subnetInUse(subnetId, reserved.address);
    }
    for (const { first, last } of forbidden) {
      const slot = await this.#findSlot({ networkId, from: first, to: last });
      if (slot) return rangeInUse(subnetId, slot.address, slot.state);
    }
    return undefined;
  }

  async #findSlot(filter: SlotFilter): Promise<Slot | undefined> {
    let page: SlotPage = { slots: [], next: undefined };
    do page = await this.#context.store.slots.list(filter, page.next, 1);
    while (page.slots.length === 0 && page.next);
    return page.slots[0];
  }

  async #write(deed: Deed, before: Network, after: Network): Promise<Result<Network> | 'conflict'> {
    const { store, tell } = this.#context;
    const isChanged = find(before, deed.subnetId) !== find(after, deed.subnetId);
    const event = isChanged ? this.#event(deed, before, after) : undefined;
    const written = await store.networks.put(after, undefined, event);
    if (written === 'conflict' || written === 'subnet-taken') return 'conflict';
    if (event) tell(event);
    return success(written);
  }

  #event({ method, author, subnetId }: Deed, before: Network | undefined, after: Network): AuditEvent {
    const change = subnetChange(after.networkId, before && find(before, subnetId), find(after, subnetId));
    return auditEvent(method, author, after, wallTime(this.#context), change);
  }
}

function newSubnet(context: Context, subnetId: SubnetId, settings: SubnetSettings, call: Call): Subnet {
  const now = wallTime(context);
  return {
    subnetId,
    uid: newUid(context),
    ...settings,
    leaseTimeCeilingS: settings.leaseTimeS,
    createTime: now,
    updateTime: now,
    createdBy: call.caller,
  };
}

// A patch may clear an optional setting by an undefined value, which must then not be there at all.
function withPatch(before: Subnet, patch: Partial<SubnetSettings>): Subnet {
  const entries = Object.entries({ ...before, ...patch }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as Subnet;
}

function find(network: Network, subnetId: SubnetId): Subnet | undefined {
  return network.subnets.find((each) => each.subnetId === subnetId);
}

function replaceSubnet(network: Network, subnet: Subnet): Network {
  return { ...network, subnets: network.subnets.map((each) => (each.subnetId === subnet.subnetId ? subnet : each)) };
}

function unmarked(network: Network): Network {
  const { mark: _, ...rest } = network;
  return rest;
}

// Only of the settings asked for: what they leave out must not be there either.
function sameSettings(subnet: Subnet, settings: SubnetSettings): boolean {
  const { subnetId, uid, leaseTimeCeilingS, createTime, updateTime, createdBy } = subnet;
  const asked = { subnetId, uid, leaseTimeCeilingS, createTime, updateTime, createdBy, ...settings };
  return subnetEtag(asked) === subnetEtag(subnet);
}
