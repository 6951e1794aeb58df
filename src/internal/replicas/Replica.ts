/**
 * One replica: what is known of it, and whether reads go to it.
 */
import type { DbError } from "../../DbError.js"
import type { ReplicaReport } from "../../DbHealth.js"
import type * as Driver from "../../driver/Driver.js"
import type { Server } from "./Server.js"

/** Why no reads go to a replica. */
export type LeftOut = NonNullable<ReplicaReport["reason"]>

/** A replica that no reads go to. */
export interface Absence {
  readonly reason: LeftOut
  /** When it was left out, in milliseconds since 1970. */
  readonly since: number
  /** When it is tried again. */
  readonly until: number
}

/**
 * How far a process of a server has replayed. It never goes back; a process that was started again may be behind the one before, and is
 * another one.
 */
interface Process {
  replayed: bigint
  /** It is being asked: what it answers is told to all that wait for it. */
  isAsked: boolean
}

/** How long what a replica told of its lag holds, in milliseconds. */
const lagHolds = 1000

export class Replica {
  absence: Absence | undefined = undefined
  /** How far it is behind, by its last word, in seconds. */
  lag: number | undefined = undefined
  position: bigint | undefined = undefined
  /** It is looked at in the background, or by a read: no other one has to. */
  isProbed = false
  private askedAt = -Infinity
  /** The last time that its replay has ended a statement. */
  private conflict: Absence | undefined = undefined
  private readonly processes = new Map<string, Process>()
  private readonly processOf = new WeakMap<Driver.Connection, Process>()

  constructor(
    readonly server: Server,
    /** In milliseconds. */
    private readonly options: { readonly maxLag: number; readonly retryAfter: number }
  ) {
    server.onFailure = (error) => this.failed(error)
  }

  private get now(): number {
    return this.server.clock.unsafeCurrentTimeMillis()
  }

  /** How many have a connection of it, or wait for one. */
  get load(): number {
    const { pool } = this.server
    return pool.inUse + pool.waiting
  }

  /** Whether a connection is known to show all up to a place, without a question. Behind a pooler the next answer may be of another process. */
  isKnown(connection: Driver.Connection, required: bigint): boolean {
    const process = this.processOf.get(connection)
    return process !== undefined && process.replayed >= required && this.server.config.prepare &&
      this.now - this.askedAt < lagHolds
  }

  /** Whether the server behind a connection is being asked on another one; where not, it is from now on. */
  isAskedElsewhere(connection: Driver.Connection): boolean {
    const process = this.processOf.get(connection)
    if (process?.isAsked === true) {
      return true
    }
    if (process !== undefined) {
      process.isAsked = true
    }
    return false
  }

  /** The question on this connection is over. */
  wasAsked(connection: Driver.Connection): void {
    const process = this.processOf.get(connection)
    if (process !== undefined) {
      process.isAsked = false
    }
  }

  /** Takes what its server told; says whether it shows all up to the place. `undefined`: no reads go to it. */
  told(connection: Driver.Connection, answer: Driver.Replayed | undefined, required: bigint): boolean | undefined {
    const now = this.now
    this.askedAt = now
    this.server.metrics.replicationLag(answer?.lag)
    this.lag = answer?.lag
    this.position = answer?.position
    if (answer === undefined) {
      this.leave("not a standby")
      return undefined
    }
    this.note(connection, answer)
    const { maxLag } = this.options
    if (maxLag > 0 && answer.lag !== undefined && answer.lag * 1000 > maxLag) {
      this.leave("lagging")
      return undefined
    }
    // That it answers says nothing of what its replay has ended, also where it was left out for something else since.
    this.absence = this.conflict !== undefined && this.conflict.until > now ? this.conflict : undefined
    return answer.position >= required
  }

  private note(connection: Driver.Connection, { position, server }: Driver.Replayed): void {
    const known = this.processes.get(server)
    if (known === undefined || (this.processOf.get(connection) !== known && position < known.replayed)) {
      // Of the same name and not as far: all its sessions had ended, and it was begun again.
      const process: Process = { replayed: position, isAsked: false }
      this.processes.clear()
      this.processes.set(server, process)
      this.processOf.set(connection, process)
      return
    }
    this.processOf.set(connection, known)
    this.replayed(connection, position)
  }

  /** A connection has shown what is up to a place. */
  replayed(connection: Driver.Connection, position: bigint): void {
    const process = this.processOf.get(connection)
    if (process !== undefined && position > process.replayed) {
      process.replayed = position
    }
  }

  /** Sends reads elsewhere for a while. */
  leave(reason: LeftOut): Absence {
    const now = this.now
    return this.absence = {
      reason,
      since: this.absence?.reason === reason ? this.absence.since : now,
      until: now + this.options.retryAfter
    }
  }

  /** What a failure on it says of it. */
  private failed(error: DbError): void {
    if (error.code === "40001") {
      // On a standby nothing else fails so than what stands in the way of its replay.
      this.conflict = this.leave("conflict")
    } else if (error._tag === "ConnectionError" ? !harmless.has(error.reason) : isUnopened(error)) {
      this.leave("down")
    }
  }
}

/** What says nothing of the server. */
const harmless: ReadonlySet<string> = new Set(["Closed", "Overloaded"])

const isUnopened = (error: DbError): boolean => error._tag === "TimeoutError" && error.phase === "Connect"
