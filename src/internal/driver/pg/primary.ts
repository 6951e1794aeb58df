/**
 * Which server is the primary, as far as the connections of one database have shown it.
 */
import type * as Deferred from "effect/Deferred"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError } from "../../../DbError.js"
import { failure } from "../failure.js"
import type { PgConnection } from "./connection.js"
import { place } from "./handshake.js"

/** The history that a server writes. */
export interface Identity {
  /** The cluster's system identifier: the same on a primary and its standbys. */
  readonly system: string
  /** Rises with each promotion. */
  readonly timeline: number
}

/** The configuration asks for the primary, so that no other server is taken for it. */
export const seeksPrimary = ({ targetSessionAttrs }: DbConfig): boolean =>
  targetSessionAttrs === "read-write" || targetSessionAttrs === "primary"

/** The configuration is one of a program that writes, so that a server which refuses that is not the one that is meant. */
const expectsWrites = (config: DbConfig): boolean =>
  config.access === "read-write" &&
  (seeksPrimary(config) || (config.targetSessionAttrs === "any" && config.hosts.length > 1))

/** Whether a server refuses every write; `undefined` where it does not tell by itself (before PostgreSQL 14, and a pooler). */
const isReadOnly = ({ parameters, session }: PgConnection): boolean | undefined => {
  const standby = parameters.get("in_hot_standby")
  if (standby === undefined || session.carried !== undefined) return undefined
  // A session that statements have changed may have set the second by itself.
  return standby === "on" || (parameters.get("default_transaction_read_only") === "on" && !session.dirty)
}

interface Known {
  readonly where: string
  readonly identity: Identity | undefined
}

/** What is remembered of the primary of one database, for all its connections. */
export class Primary {
  /** Where it was found last; `undefined`: it has to be looked for. */
  host: Host | undefined
  /** The search that is under way; it ends with where the primary is, or without anything when it was interrupted. */
  search: Deferred.Deferred<Host | undefined, ConnectionError> | undefined
  /** A server has not told its timeline, as its kind cannot: it is not asked for any more. */
  tellsNoTimeline = false
  /** The system of the last primary that has told it. */
  system: string | undefined
  /** The highest timeline of each system. */
  private readonly timelines = new Map<string, number>()
  /** Hosts that have refused a write, or did not answer while they were taken for the primary's. */
  private readonly doubted = new Set<string>()
  private readonly connections = new Map<PgConnection, Known>()

  /** Hosts in the order in which they are asked: where the primary was found last, and last of all those that are doubted. */
  order(hosts: ReadonlyArray<Host>): ReadonlyArray<Host> {
    const rank = (host: Host): number => this.doubted.has(place(host)) ? 2 : host === this.host ? 0 : 1
    return hosts.length === 1 ? hosts : [...hosts].sort((a, b) => rank(a) - rank(b))
  }

  /** Why a server that accepts writes is not the primary. */
  refusal({ name }: DbConfig, host: Host, { system, timeline }: Identity): ConnectionError | undefined {
    const seen = this.timelines.get(system)
    return seen === undefined || timeline >= seen ? undefined : failure({
      _tag: "ConnectionError",
      reason: "StaleTimeline",
      what:
        `${place(host)}: the server accepts writes on timeline ${timeline}, but timeline ${seen} was seen before: ` +
        "another server was promoted since",
      outcome: "NotSent",
      database: name
    })
  }

  /** Nothing answers where the primary was. */
  doubt(host: Host): void {
    this.doubted.add(place(host))
  }

  /** The server is not the primary, as far as an attempt to open a connection to it shows. */
  forget(host: Host): void {
    if (this.host === host) this.host = undefined
  }

  /**
   * A connection was opened to what is taken for the primary. Connections to the one before are not used again; those to one of an
   * older timeline are cut, as what is written there is lost.
   */
  found(config: DbConfig, host: Host, connection: PgConnection, identity: Identity | undefined): void {
    if (!expectsWrites(config)) return
    const where = place(host)
    this.doubted.delete(where)
    for (const [other, known] of this.connections) {
      const isStale = identity !== undefined && isOlder(known.identity, identity)
      const isElsewhere = seeksPrimary(config) && known.where !== where
      if (!isStale && !isElsewhere && !other.lost && !other.retired) continue
      this.connections.delete(other)
      if (isStale) other.cut(new Error(`another server was promoted: ${where} is on timeline ${identity.timeline}`))
      else if (isElsewhere) retire(other)
    }
    if (seeksPrimary(config)) this.host = host
    if (identity !== undefined) {
      this.system = identity.system
      this.timelines.set(identity.system, identity.timeline)
    }
    this.connections.set(connection, { where, identity })
    connection.onWriteRefused = () => this.refusedWrite(connection, where)
  }

  /**
   * A write was refused as one in a transaction that only reads. Where the server says that it takes no writes at all, none of the
   * connections to it is used again; where it says nothing, this one is not. Gives whether it is the server.
   */
  private refusedWrite(connection: PgConnection, where: string): boolean {
    const isRefusing = isReadOnly(connection)
    if (isRefusing === false) return false
    this.host = undefined
    if (isRefusing === undefined) {
      retire(connection)
      return false
    }
    this.doubted.add(where)
    for (const [other, known] of this.connections) {
      if (known.where === where) {
        this.connections.delete(other)
        retire(other)
      }
    }
    return true
  }
}

/** It is not used for anything that begins from now on. Its borrower may go on with it. */
const retire = (connection: PgConnection): void => {
  if (connection.lost || connection.retired) return
  connection.retired = true
  const { onLost } = connection
  connection.onLost = undefined
  onLost?.(connection.session.failures.retired())
}

const isOlder = (known: Identity | undefined, now: Identity): boolean =>
  known !== undefined && known.system === now.system && known.timeline < now.timeline
