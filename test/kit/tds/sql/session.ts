/**
 * One session: its transaction, its settings, its temporary tables, and the locks it waits for.
 *
 * Exports: `Session`, `Sink`, `Login`.
 */
import type Database from "better-sqlite3"
import type { IsolationLevel } from "../requests.js"
import { envChangeBytes, envChangeText, environment } from "../tokens.js"
import { type SqlType, TsqlError, unsupported, type Value } from "../types.js"
import { registerFunctions } from "./arithmetic.js"
import { Catalog, type TableInfo } from "./catalog.js"
import {
  ApplicationLock,
  type DatabaseFile,
  deadlockError,
  type Identities,
  type Lockable,
  type Waiter,
  waitFor
} from "./database.js"
import type { QueryColumn } from "./query.js"
import { registerSystemTables } from "./systemTables.js"

/** Where a session's answers go. */
export interface Sink {
  readonly columns: (columns: ReadonlyArray<QueryColumn>) => void
  /** Resolves when the client keeps up. */
  readonly row: (columns: ReadonlyArray<QueryColumn>, values: ReadonlyArray<Value>) => Promise<void> | undefined
  /** The end of a statement. `count`: undefined where it counts nothing. */
  readonly done: (command: number, count: bigint | undefined, failed: boolean) => void
  readonly error: (error: TsqlError) => void
  readonly info: (number: number, message: string, severity: number) => void
  readonly environment: (token: Buffer) => void
}

/** Who logged in. */
export interface Login {
  readonly user: string
  readonly hostname: string
  readonly application: string
  readonly library: string
  readonly clientPid: number
  readonly readOnlyIntent: boolean
  readonly encrypted: boolean
  readonly packetSize: number
}

/** What a session asks of its server. */
export interface Host {
  readonly name: string
  readonly version: string
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

export interface Options {
  readonly xactAbort: boolean
  readonly noCount: boolean
  readonly implicitTransactions: boolean
  readonly ansiNulls: boolean
  /** Milliseconds; -1 for none. */
  readonly lockTimeout: number
  readonly textSize: number
  readonly dateFormat: string
  readonly dateFirst: number
  readonly language: string
  readonly rowCount: number
  /** Other switches, as they were set. */
  readonly others: Readonly<Record<string, string>>
}

const initialOptions: Options = {
  xactAbort: false,
  noCount: false,
  implicitTransactions: false,
  ansiNulls: true,
  lockTimeout: -1,
  textSize: 4096,
  dateFormat: "mdy",
  dateFirst: 7,
  language: "us_english",
  rowCount: 0,
  others: {}
}

const noDescriptor = Buffer.alloc(0)
const descriptorBytes = (descriptor: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(descriptor)
  return bytes
}

const isBusy = (error: unknown): "no" | "busy" | "snapshot" => {
  const code = (error as { readonly code?: unknown } | null)?.code
  return code === "SQLITE_BUSY_SNAPSHOT"
    ? "snapshot"
    : typeof code === "string" && code.startsWith("SQLITE_BUSY")
    ? "busy"
    : "no"
}

export class Session implements Waiter {
  waitingFor: Lockable | undefined
  database: DatabaseFile
  db: Database.Database
  catalog: Catalog
  options = initialOptions
  isolation: IsolationLevel = "read committed"
  transactionCount = 0
  descriptor = 0n
  transactionName: string | undefined
  /** The transaction can only be rolled back. */
  doomed = false
  lastError = 0
  lastRowCount = 0n
  scopeIdentity: bigint | undefined
  identityInsert: string | undefined
  readonly prepared = new Map<number, Prepared>()
  readonly sessionContext = new Map<string, { readonly type: SqlType; readonly value: Value }>()
  private handle = 0
  private savepoints: Array<{ readonly name: string; readonly sqlite: string }> = []
  private savepointCount = 0
  private temporaryIdentities: Identities = new Map()
  /** The tables and schemas as the statement that runs sees them: views of them are read while the connection is busy. */
  definitions: { readonly tables: ReadonlyArray<TableInfo>; readonly schemas: ReadonlyArray<string> } = {
    tables: [],
    schemas: []
  }
  /** The temporary tables made in each open scope: a procedure's go when it ends. */
  private scopes: Array<Array<string>> = [[]]
  /** What it does now. */
  running: { readonly text: string; readonly command: string; readonly started: number } | undefined
  /** Rows that were handed to the socket. */
  rowsSent = 0
  readonly loginTime = new Date()

  constructor(
    readonly spid: number,
    readonly host: Host,
    readonly login: Login,
    private readonly home: DatabaseFile
  ) {
    this.database = home
    this.db = home.open()
    this.catalog = this.prepareConnection()
  }

  private prepareConnection(): Catalog {
    const catalog = new Catalog(this.db)
    registerFunctions(this.db, (table) => this.nextIdentity(table))
    registerSystemTables(this.db, this)
    return catalog
  }

  identities(temporary: boolean): Identities {
    return temporary ? this.temporaryIdentities : this.database.identities
  }

  private nextIdentity(table: string): bigint {
    const identities = this.identities(table.startsWith("#"))
    const identity = identities.get(table.toLowerCase())
    if (identity === undefined) throw unsupported(`an identity of ${table}`)
    identities.set(table.toLowerCase(), { next: identity.next + identity.step, step: identity.step })
    this.scopeIdentity = identity.next
    return identity.next
  }

  nextHandle(): number {
    this.handle += 1
    return this.handle
  }

  // --- transactions

  begin(sink: Sink, name: string | undefined): void {
    this.transactionCount++
    if (this.transactionCount > 1) return
    this.descriptor = this.host.nextDescriptor()
    this.transactionName = name
    sink.environment(envChangeBytes(environment.beginTransaction, descriptorBytes(this.descriptor), noDescriptor))
  }

  commit(sink: Sink): void {
    if (this.transactionCount === 0) {
      throw new TsqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
    }
    if (this.doomed) {
      throw new TsqlError(
        3930,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction."
      )
    }
    if (this.transactionCount > 1) {
      this.transactionCount--
      return
    }
    if (this.db.inTransaction) this.db.exec("COMMIT")
    const old = this.descriptor
    this.transactionEnded()
    sink.environment(envChangeBytes(environment.commitTransaction, noDescriptor, descriptorBytes(old)))
  }

  rollback(sink: Sink, name: string | undefined): void {
    if (this.transactionCount === 0) {
      throw new TsqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
    }
    if (name !== undefined && name !== "" && name !== this.transactionName) {
      const index = this.savepoints.map((_) => _.name).lastIndexOf(name)
      if (index === -1) {
        throw new TsqlError(
          6401,
          `Cannot roll back ${name}. No transaction or savepoint of that name was found.`
        )
      }
      if (this.doomed) {
        throw new TsqlError(
          3931,
          "The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the entire transaction."
        )
      }
      const point = this.savepoints[index]!
      if (this.db.inTransaction) this.db.exec(`ROLLBACK TO "${point.sqlite}"`)
      this.savepoints.length = index + 1
      return
    }
    this.rollbackAll(sink)
  }

  /** Ends the transaction, whatever its depth. */
  rollbackAll(sink: Sink | undefined): void {
    if (this.db.inTransaction) this.db.exec("ROLLBACK")
    if (this.transactionCount === 0) {
      this.releaseWriter()
      return
    }
    const old = this.descriptor
    this.transactionEnded()
    sink?.environment(envChangeBytes(environment.rollbackTransaction, noDescriptor, descriptorBytes(old)))
  }

  private transactionEnded(): void {
    this.transactionCount = 0
    this.descriptor = 0n
    this.transactionName = undefined
    this.doomed = false
    this.savepoints = []
    this.releaseWriter()
    for (const lock of this.database.applicationLocks.values()) lock.release(this, "transaction")
  }

  private releaseWriter(): void {
    if (this.database.writer !== this) return
    this.database.writer = undefined
    this.database.lock.release()
  }

  save(name: string): void {
    if (this.transactionCount === 0) {
      throw new TsqlError(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
    }
    if (this.doomed) {
      throw new TsqlError(
        3930,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction."
      )
    }
    if (name.length > 32) {
      throw new TsqlError(1045, `Savepoint name '${name}' is longer than 32 characters.`, 15)
    }
    this.savepointCount++
    const point = { name, sqlite: `s${this.savepointCount}` }
    this.savepoints.push(point)
    if (this.db.inTransaction) this.db.exec(`SAVEPOINT "${point.sqlite}"`)
  }

  private startSqlite(sql: string): void {
    this.db.exec(sql)
    for (const point of this.savepoints) this.db.exec(`SAVEPOINT "${point.sqlite}"`)
  }

  private get holdsSnapshot(): boolean {
    return this.isolation === "snapshot" || this.isolation === "serializable" || this.isolation === "repeatable read"
  }

  private conflict(): TsqlError {
    return this.isolation === "snapshot"
      ? new TsqlError(
        3960,
        `Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table directly or indirectly in database '${this.database.name}' to update, delete, or insert the row that has been modified or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete statement.`,
        16,
        2
      )
      : deadlockError(this.spid)
  }

  /**
   * Makes ready for a statement. A reader never waits: it sees what is committed (READ COMMITTED, as of the
   * statement; SNAPSHOT, REPEATABLE READ and SERIALIZABLE, as of the transaction's first access). A writer waits for the one write lock;
   * when what its transaction has read is out of date by then, it gets 3960 (SNAPSHOT) or 1205.
   */
  async access(kind: "read" | "write", signal: AbortSignal): Promise<void> {
    if (kind === "write" && this.database.readOnly) {
      throw new TsqlError(
        3906,
        `Failed to update database "${this.database.name}" because the database is read-only.`
      )
    }
    if (kind === "write" && this.doomed) {
      throw new TsqlError(
        3930,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction."
      )
    }
    if (kind === "read") {
      if (this.transactionCount > 0 && !this.db.inTransaction && this.holdsSnapshot) this.startSqlite("BEGIN")
      return
    }
    if (this.database.writer === this) return
    for (;;) {
      try {
        if (!this.db.inTransaction) this.startSqlite("BEGIN IMMEDIATE")
        // Takes the write lock without changing anything.
        else this.db.exec(`UPDATE main."$counter" SET next = next`)
        this.database.writer = this
        return
      } catch (error) {
        const busy = isBusy(error)
        if (busy === "snapshot") throw this.conflict()
        if (busy === "no") throw error
      }
      await waitFor(this, this.database.lock, this.options.lockTimeout, signal)
    }
  }

  /** The end of a statement outside a transaction. */
  autocommit(): void {
    if (this.transactionCount > 0) return
    if (this.db.inTransaction) this.db.exec("COMMIT")
    this.releaseWriter()
  }

  /** A place to come back to when a statement fails. */
  mark(): void {
    if (this.db.inTransaction) this.db.exec(`SAVEPOINT "statement"`)
  }
  keep(): void {
    if (this.db.inTransaction) this.db.exec(`RELEASE "statement"`)
  }
  undo(): void {
    if (this.db.inTransaction) this.db.exec(`ROLLBACK TO "statement"; RELEASE "statement"`)
  }

  // --- application locks

  async applicationLock(
    resource: string,
    exclusive: boolean,
    transaction: boolean,
    limit: number,
    signal: AbortSignal
  ): Promise<number> {
    const key = resource.toLowerCase()
    let lock = this.database.applicationLocks.get(key)
    if (lock === undefined) {
      lock = new ApplicationLock()
      this.database.applicationLocks.set(key, lock)
    }
    const started = Date.now()
    let waited = false
    while (!lock.grantable(this, exclusive)) {
      waited = true
      try {
        const left = limit === -1 ? -1 : Math.max(0, limit - (Date.now() - started))
        await waitFor(this, lock.lock, left, signal)
      } catch (error) {
        if (error instanceof TsqlError) return error.number === 1222 ? -1 : -3
        throw error
      }
    }
    lock.held.push({ owner: this, exclusive, transaction })
    return waited ? 1 : 0
  }

  releaseApplicationLock(resource: string, transaction: boolean): boolean {
    return this.database.applicationLocks.get(resource.toLowerCase())?.release(this, "one", transaction) ?? false
  }

  // --- temporary tables, reset, end

  enterScope(): void {
    this.scopes.push([])
  }

  created(table: string): void {
    this.scopes[this.scopes.length - 1]!.push(table)
  }

  dropped(table: string): void {
    this.scopes = this.scopes.map((names) => names.filter((name) => name !== table))
  }

  get temporaryTables(): number {
    return this.scopes.flat().length
  }

  leaveScope(): void {
    for (const name of this.scopes.pop()!) this.dropTemporary(name)
  }

  private dropTemporary(name: string): void {
    const info = this.catalog.find(name)
    if (info !== undefined) this.catalog.drop(info)
    this.temporaryIdentities.delete(name.toLowerCase())
  }

  use(sink: Sink, name: string): void {
    const found = this.host.database(name)
    if (found === undefined) {
      throw new TsqlError(911, `Database '${name}' does not exist. Make sure that the name is entered correctly.`)
    }
    if (found === this.database) return
    if (this.transactionCount > 0) throw unsupported("USE inside a transaction")
    const old = this.database.name
    this.switchTo(found)
    sink.environment(envChangeText(environment.database, found.name, old))
    sink.info(5701, `Changed database context to '${found.name}'.`, 0)
  }

  private switchTo(database: DatabaseFile): void {
    for (const lock of this.database.applicationLocks.values()) lock.release(this, "all")
    this.db.close()
    this.database = database
    this.db = database.open()
    this.catalog = this.prepareConnection()
  }

  /** What `sp_reset_connection` does. The isolation level stays, as it does on most versions of the server. */
  reset(sink: Sink, keepTransaction: boolean): void {
    if (!keepTransaction) this.rollbackAll(sink)
    for (const info of this.catalog.all()) if (info.temporary) this.dropTemporary(info.sqlite)
    this.scopes = [[]]
    for (const lock of this.database.applicationLocks.values()) lock.release(this, "all")
    this.prepared.clear()
    this.sessionContext.clear()
    this.options = initialOptions
    this.identityInsert = undefined
    this.lastError = 0
    this.lastRowCount = 0n
    this.scopeIdentity = undefined
    if (this.database !== this.home) {
      const old = this.database.name
      this.switchTo(this.home)
      sink.environment(envChangeText(environment.database, this.home.name, old))
    }
    sink.environment(envChangeBytes(environment.resetConnection, noDescriptor, noDescriptor))
  }

  /** The connection has ended. */
  close(): void {
    this.rollbackAll(undefined)
    for (const lock of this.database.applicationLocks.values()) lock.release(this, "all")
    this.db.close()
  }
}
