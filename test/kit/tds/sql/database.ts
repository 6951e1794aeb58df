/** The databases of a server: files of SQLite, the session that writes, and the sessions that wait. */
import type Database from "better-sqlite3"
import { createRequire } from "node:module"
import { TsqlError } from "../types.js"
import { Catalog } from "./catalog.js"

/** A request was stopped by an attention, or its connection ended. */
export class Cancelled extends Error {
  override readonly name = "Cancelled"
}

/** A session that can wait for a lock. */
export interface Waiter {
  readonly spid: number
  waitingFor: Lockable | undefined
}

/** Something that one session holds and others wait for. */
export class Lockable {
  waiting: Array<() => void> = []
  constructor(readonly holders: () => ReadonlyArray<Waiter>) {}

  /** Wakes all that wait, in the order in which they came. */
  release(): void {
    const woken = this.waiting
    this.waiting = []
    for (const wake of woken) wake()
  }
}

/** Waits until a resource is given up. `limit`: milliseconds, -1 for none. */
export const waitFor = async (
  waiter: Waiter,
  resource: Lockable,
  limit: number,
  signal: AbortSignal
): Promise<void> => {
  if (signal.aborted) throw new Cancelled()
  let timer: NodeJS.Timeout | undefined
  waiter.waitingFor = resource
  try {
    await new Promise<void>((resolve, reject) => {
      resource.waiting.push(resolve)
      signal.addEventListener("abort", () => reject(new Cancelled()), { once: true })
      const timeout = () => reject(new TsqlError(1222, "Lock request time out period exceeded.", 16, 51))
      if (limit !== -1) timer = setTimeout(timeout, limit)
    })
  } finally {
    waiter.waitingFor = undefined
    clearTimeout(timer)
  }
}

/** Loaded with the first database: the tests also run where it is not installed. */
const sqlite = (): typeof Database => createRequire(import.meta.url)("better-sqlite3")

/** One database. */
export class DatabaseFile {
  /** The session that holds the one write lock of SQLite. */
  writer: Waiter | undefined
  readonly lock = new Lockable(() => this.writer === undefined ? [] : [this.writer])
  /** The last identity value of each table, by its name in lower case: no part of any transaction, as on the server. */
  readonly identities = new Map<string, bigint>()
  /** Locks of `sp_getapplock`, by resource. */
  readonly applicationLocks = new Map<string, ApplicationLock>()
  readOnly = false

  constructor(readonly name: string, readonly id: number, readonly file: string) {
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

/** A lock that programs name themselves; here all are exclusive, and of a session. */
export class ApplicationLock {
  readonly held: Array<Waiter> = []
  readonly lock = new Lockable(() => this.held)
}
