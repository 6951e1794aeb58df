/**
 * The databases of a server: files of SQLite, who writes, and who waits.
 *
 * Exports: `DatabaseFile`, `Lockable`, `waitFor`, `Cancelled`.
 */
import type Database from "better-sqlite3"
import { createRequire } from "node:module"
import { TsqlError } from "../types.js"
import { Catalog } from "./catalog.js"

/** A request was stopped by an attention, or its connection ended. */
export class Cancelled extends Error {
  override readonly name = "Cancelled"
}

/** Somebody who can wait for a lock. */
export interface Waiter {
  readonly spid: number
  waitingFor: Lockable | undefined
}

/** Something that one holds and others wait for. */
export class Lockable {
  private waiting: Array<() => void> = []
  constructor(readonly name: string, readonly holders: () => ReadonlyArray<Waiter>) {}

  /** Wakes all who wait, in the order in which they came. */
  release(): void {
    const woken = this.waiting
    this.waiting = []
    for (const wake of woken) wake()
  }

  add(wake: () => void): () => void {
    this.waiting.push(wake)
    return () => {
      this.waiting = this.waiting.filter((one) => one !== wake)
    }
  }
}

const deadlocked = (waiter: Waiter, resource: Lockable): boolean => {
  const visit = (at: Lockable, seen: ReadonlySet<Lockable>): boolean =>
    at.holders().some((holder) =>
      holder === waiter ||
      (holder.waitingFor !== undefined && !seen.has(holder.waitingFor) &&
        visit(holder.waitingFor, new Set([...seen, holder.waitingFor])))
    )
  return visit(resource, new Set([resource]))
}

export const deadlockError = (spid: number): TsqlError =>
  new TsqlError(
    1205,
    `Transaction (Process ID ${spid}) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.`,
    13,
    51
  )

/** Waits until a resource is given up. `limit`: milliseconds, -1 for none. */
export const waitFor = (waiter: Waiter, resource: Lockable, limit: number, signal: AbortSignal): Promise<void> => {
  if (signal.aborted) return Promise.reject(new Cancelled())
  const timeout = new TsqlError(1222, "Lock request time out period exceeded.", 16, 51)
  if (limit === 0) return Promise.reject(timeout)
  if (deadlocked(waiter, resource)) return Promise.reject(deadlockError(waiter.spid))
  return new Promise((resolve, reject) => {
    waiter.waitingFor = resource
    const settle = (finish: () => void): void => {
      waiter.waitingFor = undefined
      remove()
      signal.removeEventListener("abort", onAbort)
      if (timer !== undefined) clearTimeout(timer)
      finish()
    }
    const remove = resource.add(() => settle(resolve))
    const onAbort = (): void => settle(() => reject(new Cancelled()))
    signal.addEventListener("abort", onAbort)
    const timer = limit === -1 ? undefined : setTimeout(() => settle(() => reject(timeout)), limit)
  })
}

/** The next identity value of each table, by its name in lower case. */
export type Identities = Map<string, { readonly next: bigint; readonly step: bigint }>

/** One database. */
/** Loaded with the first database: the tests also run where it is not installed. */
const sqlite = (): typeof Database => createRequire(import.meta.url)("better-sqlite3")

export class DatabaseFile {
  /** Who holds the one write lock that SQLite has. */
  writer: Waiter | undefined
  readonly lock = new Lockable("database", () => this.writer === undefined ? [] : [this.writer])
  /** They are not part of any transaction, as on the server. */
  readonly identities: Identities = new Map()
  /** Locks of `sp_getapplock`, by resource. */
  readonly applicationLocks = new Map<string, ApplicationLock>()
  readOnly: boolean

  constructor(readonly name: string, readonly id: number, readonly file: string, readOnly: boolean) {
    this.readOnly = readOnly
    const db = new (sqlite())(file)
    db.pragma("journal_mode = WAL")
    db.pragma("synchronous = OFF")
    Catalog.initialize(db)
    db.close()
  }

  /** A connection of one session. */
  open(): Database.Database {
    const db = new (sqlite())(this.file, { timeout: 0 })
    db.pragma("synchronous = OFF")
    db.pragma("legacy_alter_table = ON")
    db.pragma("temp_store = MEMORY")
    return db
  }
}

/** A lock that programs name themselves. */
export class ApplicationLock {
  readonly held: Array<{ readonly owner: Waiter; readonly exclusive: boolean; readonly transaction: boolean }> = []
  readonly lock = new Lockable("application", () => this.held.map((_) => _.owner))

  grantable(owner: Waiter, exclusive: boolean): boolean {
    return this.held.every((one) => one.owner === owner || !(exclusive || one.exclusive))
  }

  release(owner: Waiter, which: "one" | "transaction" | "all", transaction = false): boolean {
    const keep = (one: (typeof this.held)[number]): boolean =>
      one.owner !== owner || (which === "transaction" && !one.transaction)
    let released = false
    if (which === "one") {
      const index = this.held.findIndex((one) => one.owner === owner && one.transaction === transaction)
      if (index !== -1) {
        this.held.splice(index, 1)
        released = true
      }
    } else {
      for (let i = this.held.length - 1; i >= 0; i--) {
        if (!keep(this.held[i]!)) {
          this.held.splice(i, 1)
          released = true
        }
      }
    }
    if (released) this.lock.release()
    return released
  }
}
