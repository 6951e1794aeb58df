/** One session: its transaction, its settings, its temporary tables, and the locks it waits for. */
import type Database from "better-sqlite3"
import type { Login7 } from "../login.js"
import type { IsolationLevel } from "../requests.js"
import type { Response } from "../response.js"
import { envChangeBytes, environment } from "../tokens.js"
import { type SqlType, TsqlError, type Value } from "../types.js"
import { Writer } from "../wire.js"
import { Catalog, type TableInfo } from "./catalog.js"
import { registerFunctions } from "./convert.js"
import { ApplicationLock, type DatabaseFile, type Lockable, type Waiter, waitFor } from "./database.js"
import { registerViews } from "./system.js"

/** What a client logged in with. */
export type Login = Login7 & { readonly encrypted: boolean }

/** What a session asks of its server. */
export interface Host {
  readonly name: string
  readonly database: (name: string) => DatabaseFile | undefined
  readonly databases: () => ReadonlyArray<DatabaseFile>
  readonly createDatabase: (name: string) => void
  readonly dropDatabase: (database: DatabaseFile) => void
  readonly sessions: () => ReadonlyArray<Session>
  readonly kill: (spid: number) => boolean
  readonly nextDescriptor: () => bigint
}

/** A statement that was prepared by handle. */
export interface Prepared {
  readonly text: string
  readonly declaration: string
}

const initialOptions = {
  xactAbort: false,
  noCount: false,
  /** Milliseconds; -1 for none. */
  lockTimeout: -1
}

const noDescriptor = Buffer.alloc(0)
const descriptorBytes = (descriptor: bigint): Buffer => new Writer().u64(descriptor).done()

export class Session implements Waiter {
  waitingFor: Lockable | undefined
  readonly db: Database.Database
  readonly catalog: Catalog
  options: Readonly<typeof initialOptions> = initialOptions
  isolation: IsolationLevel = "read committed"
  transactionCount = 0
  descriptor = 0n
  lastError = 0
  identityInsert: string | undefined
  readonly prepared = new Map<number, Prepared>()
  readonly sessionContext = new Map<string, { readonly type: SqlType; readonly value: Value }>()
  /** The tables as the statement that runs sees them. */
  definitions: ReadonlyArray<TableInfo> = []
  /** What it does now. */
  running: { readonly text: string; readonly command: string; readonly started: number } | undefined
  /** Rows that were handed to the socket. */
  rowsSent = 0
  #handle = 0
  #transactionName: string | undefined
  #savepoints: ReadonlyArray<{ readonly name: string; readonly sqlite: string }> = []
  #savepointCount = 0
  readonly #temporaryIdentities = new Map<string, bigint>()
  /** The temporary tables made in each open scope: a procedure's go when it ends. */
  #scopes: Array<Array<string>> = [[]]

  constructor(
    readonly spid: number,
    readonly host: Host,
    readonly login: Login,
    readonly database: DatabaseFile
  ) {
    this.db = database.open()
    registerFunctions(this.db, (table) => this.#nextIdentity(table))
    registerViews(this.db, this)
    this.catalog = new Catalog(this.db)
  }

  /** Keeps a statement, and gives its handle. */
  prepare(statement: Prepared): number {
    this.#handle++
    this.prepared.set(this.#handle, statement)
    return this.#handle
  }

  // --- identities

  #identities(table: string): Map<string, bigint> {
    return table.startsWith("#") ? this.#temporaryIdentities : this.database.identities
  }

  #nextIdentity(table: string): bigint {
    const identities = this.#identities(table)
    const next = (identities.get(table.toLowerCase()) ?? 0n) + 1n
    identities.set(table.toLowerCase(), next)
    return next
  }

  /** A table was made. */
  created({ name, temporary }: TableInfo): void {
    this.#identities(name).delete(name.toLowerCase())
    if (temporary) this.#scopes[this.#scopes.length - 1]!.push(name)
  }

  // --- transactions

  begin(sink: Response, name: string | undefined): void {
    this.transactionCount++
    if (this.transactionCount > 1) return
    this.descriptor = this.host.nextDescriptor()
    this.#transactionName = name
    sink.environment(envChangeBytes(environment.beginTransaction, descriptorBytes(this.descriptor), noDescriptor))
  }

  commit(sink: Response): void {
    if (this.transactionCount === 0) {
      throw new TsqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
    }
    if (this.transactionCount > 1) {
      this.transactionCount--
      return
    }
    if (this.db.inTransaction) this.db.exec("COMMIT")
    const old = this.descriptor
    this.#transactionEnded()
    sink.environment(envChangeBytes(environment.commitTransaction, noDescriptor, descriptorBytes(old)))
  }

  rollback(sink: Response, name: string | undefined): void {
    if (this.transactionCount === 0) {
      throw new TsqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
    }
    if (name === undefined || name === this.#transactionName) return this.rollbackAll(sink)
    const index = this.#savepoints.map((point) => point.name).lastIndexOf(name)
    if (index === -1) {
      throw new TsqlError(6401, `Cannot roll back ${name}. No transaction or savepoint of that name was found.`)
    }
    if (this.db.inTransaction) this.db.exec(`ROLLBACK TO "${this.#savepoints[index]!.sqlite}"`)
    this.#savepoints = this.#savepoints.slice(0, index + 1)
  }

  /** Ends the transaction, whatever its depth. */
  rollbackAll(sink: Response | undefined): void {
    if (this.db.inTransaction) this.db.exec("ROLLBACK")
    const { descriptor, transactionCount } = this
    this.#transactionEnded()
    if (transactionCount === 0) return
    sink?.environment(envChangeBytes(environment.rollbackTransaction, noDescriptor, descriptorBytes(descriptor)))
  }

  #transactionEnded(): void {
    this.transactionCount = 0
    this.descriptor = 0n
    this.#transactionName = undefined
    this.#savepoints = []
    this.#releaseWriter()
  }

  #releaseWriter(): void {
    if (this.database.writer !== this) return
    this.database.writer = undefined
    this.database.lock.release()
  }

  save(name: string): void {
    if (this.transactionCount === 0) {
      throw new TsqlError(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
    }
    const point = { name, sqlite: `s${this.#savepointCount++}` }
    this.#savepoints = [...this.#savepoints, point]
    if (this.db.inTransaction) this.db.exec(`SAVEPOINT "${point.sqlite}"`)
  }

  #startSqlite(sql: string): void {
    this.db.exec(sql)
    for (const point of this.#savepoints) this.db.exec(`SAVEPOINT "${point.sqlite}"`)
  }

  /**
   * Makes ready for a statement that reads. It never waits: it sees what is committed, as of the statement (READ COMMITTED)
   * or as of the transaction's first access (SNAPSHOT, REPEATABLE READ and SERIALIZABLE).
   */
  read(): void {
    if (this.transactionCount === 0 || this.db.inTransaction || this.isolation.startsWith("read ")) return
    this.#startSqlite("BEGIN")
  }

  /**
   * Makes ready for a statement that writes. It waits for the one write lock; when what its transaction has read is out of
   * date by then, it gets 3960 (SNAPSHOT) or 1205.
   */
  async write(signal: AbortSignal): Promise<void> {
    if (this.database.readOnly) {
      throw new TsqlError(3906, `Failed to update database "${this.database.name}" because the database is read-only.`)
    }
    while (this.database.writer !== this) {
      try {
        if (!this.db.inTransaction) this.#startSqlite("BEGIN IMMEDIATE")
        // Takes the write lock without changing anything.
        else this.db.exec(`UPDATE main."$counter" SET next = next`)
        this.database.writer = this
      } catch (error) {
        const code = String(Reflect.get(error as object, "code"))
        if (code === "SQLITE_BUSY_SNAPSHOT") {
          throw this.isolation !== "snapshot"
            ? new TsqlError(1205, `Transaction (Process ID ${this.spid}) was deadlocked on lock resources.`, 13, 51)
            : new TsqlError(3960, "Snapshot isolation transaction aborted due to update conflict.", 16, 2)
        }
        if (!code.startsWith("SQLITE_BUSY")) throw error
        await waitFor(this, this.database.lock, this.options.lockTimeout, signal)
      }
    }
  }

  /** The end of a statement outside a transaction. */
  autocommit(): void {
    if (this.transactionCount > 0) return
    if (this.db.inTransaction) this.db.exec("COMMIT")
    this.#releaseWriter()
  }

  // --- application locks

  /** The status of `sp_getapplock`: 0 or 1 (after a wait) when it is held, -1 after `limit`. */
  async applicationLock(resource: string, limit: number, signal: AbortSignal): Promise<number> {
    const key = resource.toLowerCase()
    const locks = this.database.applicationLocks
    const lock = locks.get(key) ?? new ApplicationLock()
    locks.set(key, lock)
    let status = 0
    while (lock.held.some((owner) => owner !== this)) {
      status = 1
      try {
        await waitFor(this, lock.lock, limit, signal)
      } catch (error) {
        if (error instanceof TsqlError) return -1
        throw error
      }
    }
    lock.held.push(this)
    return status
  }

  /** Whether it was held. */
  releaseApplicationLock(resource: string): boolean {
    const lock = this.database.applicationLocks.get(resource.toLowerCase())
    const index = lock?.held.indexOf(this) ?? -1
    if (index !== -1) lock!.held.splice(index, 1)
    lock?.lock.release()
    return index !== -1
  }

  #releaseApplicationLocks(): void {
    for (const { held, lock } of this.database.applicationLocks.values()) {
      held.splice(0, held.length, ...held.filter((owner) => owner !== this))
      lock.release()
    }
  }

  // --- temporary tables, reset, end

  enterScope(): void {
    this.#scopes.push([])
  }

  leaveScope(): void {
    for (const name of this.#scopes.pop()!) this.#dropTemporary(name)
  }

  #dropTemporary(name: string): void {
    const info = this.catalog.find({ schema: undefined, name })
    if (info !== undefined) this.catalog.drop(info)
  }

  /** What `sp_reset_connection` does. The isolation level stays, as it does on most versions of the server. */
  reset(sink: Response): void {
    this.rollbackAll(sink)
    for (const name of this.#scopes.flat()) this.#dropTemporary(name)
    this.#scopes = [[]]
    this.#releaseApplicationLocks()
    this.prepared.clear()
    this.sessionContext.clear()
    this.options = initialOptions
    this.identityInsert = undefined
    sink.environment(envChangeBytes(environment.resetConnection, noDescriptor, noDescriptor))
  }

  /** The connection has ended. */
  close(): void {
    this.rollbackAll(undefined)
    this.#releaseApplicationLocks()
    this.db.close()
  }
}
