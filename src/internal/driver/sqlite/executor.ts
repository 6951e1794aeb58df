/**
 * Statements on one SQLite handle, run at once: what is wrong with them is thrown as it comes.
 */
import type { Outcome } from "../../../DbError.js"
import type { Request } from "../../../driver/Driver.js"
import { wordSet } from "../../sql/classify.js"
import { type Place, queryFault } from "./codes.js"
import { type CursorOwner, SqliteCursor } from "./cursor.js"
import { malformedColumn } from "./encoding.js"
import type { Handle, Shared } from "./handle.js"
import { InsertedKeys } from "./inserted.js"
import type { Database } from "./moduleContract.js"
import type { Spec } from "./open.js"
import { bindable } from "./parameters.js"
import { Residue } from "./residue.js"
import { type CheckText, namesOf, narrow, readRows, type SentResult, type Table, toTable } from "./rows.js"
import { type Prepared, Statements } from "./statements.js"
import { type Change, switchesOn } from "./text.js"

/** Statements that count the rows that they write. */
const counted = wordSet("insert replace update delete with")

/** `E` is the typed error in the program's own process, a fault elsewhere: see `SqliteConnection`. */
export class Executor<E> implements CursorOwner<E> {
  readonly statements: Statements
  readonly cursors = new Set<SqliteCursor<E>>()
  readonly residue: Residue
  private readonly keys: InsertedKeys
  open = false
  /** Whether a statement has run in the open transaction: before that, its locks are still to be taken. */
  begun = false
  /** Whether what fails now has not run yet: its text or its parameters are at fault. */
  preparing = false

  constructor(
    readonly handle: Handle,
    private readonly spec: Spec,
    private readonly shared: Shared,
    /** The error of a cursor. */
    readonly toError: (cause: unknown, text: string) => E,
    private readonly isTabular: boolean
  ) {
    const { db } = this
    this.keys = new InsertedKeys(db)
    this.residue = new Residue(db, spec.filename === ":memory:")
    this.statements = new Statements(db, spec.prepareCacheSize, (change, text) => {
      this.settle()
      this.refuseIdle(change, text)
      this.residue.expect(change)
    })
  }

  get db(): Database {
    return this.handle.db
  }

  get dirty(): boolean {
    return this.open || this.cursors.size > 0 || this.residue.found
  }

  place(text: string, outcome?: Outcome | undefined): Place {
    return { database: this.spec.database, text, outcome }
  }

  /** A pragma that SQLite would pass over in silence: what follows would run as if it had never been said. */
  private refuseIdle(change: Change, text: string): void {
    if (
      change._tag === "Pragma" && change.name === "FOREIGN_KEYS" && this.db.inTransaction &&
      switchesOn(text) !== (this.db.pragma("foreign_keys", { simple: true }) === 1)
    ) {
      throw queryFault(this.place(text), {
        reason: "Unknown",
        outcome: "NotSent",
        what: "PRAGMA foreign_keys does nothing within a transaction",
        advice: "set it before the transaction begins"
      })
    }
  }

  private prepare(request: Request): Prepared {
    this.preparing = true
    if (this.handle.loaded !== this.shared.extensions.length) {
      this.load()
    }
    return this.statements.get(request.text, request.prepare)
  }

  private bind(prepared: Prepared, request: Request): ReadonlyArray<unknown> {
    const params = request.params.length === 0 ? request.params : bindable(this.place(request.text), request.params)
    this.preparing = false
    if (!prepared.reads) {
      this.settle()
      if (prepared.change !== undefined) {
        this.residue.expect(prepared.change)
      }
    }
    return params
  }

  private read(prepared: Prepared, params: ReadonlyArray<unknown>, request: Request): ReadonlyArray<unknown> | Table {
    const wantsArrays = this.isTabular || request.mode === "values"
    const rows = readRows(prepared, params, { arrays: wantsArrays, bigints: request.safeIntegers }, this.checkText)
    this.after(prepared)
    return this.isTabular
      // `readRows` was asked for arrays.
      ? toTable(
        request.mode === "values" ? undefined : namesOf(prepared),
        rows as ReadonlyArray<ReadonlyArray<unknown>>
      )
      : rows
  }

  /** The rows, and what the statement did. */
  private result(prepared: Prepared, params: ReadonlyArray<unknown>, request: Request): SentResult {
    const isCounted = counted.has(prepared.keyword) && !prepared.reads
    const insertedKey = isCounted ? this.keys.watch(prepared.text) : undefined
    let rows: ReadonlyArray<unknown> | Table = []
    let rowsAffected = 0
    if (prepared.reader) {
      rows = this.read(prepared, params, request)
      // RETURNING gives a row for each that was written.
      rowsAffected = isCounted ? rows.length : 0
    } else {
      const { changes } = prepared.statement.run(params)
      this.after(prepared)
      rowsAffected = isCounted ? changes : 0
    }
    return { rows, rowsAffected, lastInsertId: insertedKey?.(rowsAffected) }
  }

  answer(request: Request): unknown {
    const prepared = this.prepare(request)
    const params = this.bind(prepared, request)
    if (request.mode === "result") {
      return this.result(prepared, params, request)
    }
    if (prepared.reader) {
      return this.read(prepared, params, request)
    }
    const result = prepared.statement.run(params)
    this.after(prepared)
    if (request.mode === "raw") {
      if (!request.safeIntegers) {
        result.lastInsertRowid = narrow(result.lastInsertRowid) as number | bigint
      }
      return result
    }
    return []
  }

  readonly checkText: CheckText = (prepared, params) => {
    const column = malformedColumn(this.db, prepared, params)
    if (column !== undefined) {
      throw queryFault(this.place(prepared.text, "RolledBack"), {
        reason: "DataError",
        outcome: "RolledBack",
        what: `column "${column}" holds text that is not UTF-8`,
        advice: "read its bytes: CAST(... AS BLOB)"
      })
    }
  }

  readonly ended = (cursor: SqliteCursor<E>): void => {
    this.cursors.delete(cursor)
  }

  start(request: Request): SqliteCursor<E> {
    const prepared = this.prepare(request)
    if (!prepared.reads) {
      const answer = this.answer({ ...request, mode: request.mode === "values" ? "values" : "rows" })
      return SqliteCursor.of(Array.isArray(answer) ? answer : answer as Table)
    }
    const params = this.bind(prepared, request)
    const cursor = SqliteCursor.start<E>(
      prepared,
      params,
      { arrays: this.isTabular || request.mode === "values", bigints: request.safeIntegers },
      this
    )
    if (!cursor.ended) {
      this.cursors.add(cursor)
    }
    this.after(prepared)
    return cursor
  }

  /** Runs a statement without parameters and rows. */
  control(text: string): void {
    this.settle()
    const prepared = this.statements.get(text, true)
    prepared.statement.run()
    this.after(prepared)
  }

  private after(prepared: Prepared): void {
    if (prepared.reads) {
      this.begun = this.open
      return
    }
    const wasOpen = this.open
    this.open = this.db.inTransaction
    this.begun = this.open && wasOpen
  }

  /** Lets open cursors read their rest: see {@link SqliteCursor}. */
  settle(): void {
    if (this.cursors.size > 0) {
      for (const cursor of [...this.cursors]) {
        cursor.readAhead()
      }
    }
  }

  /** Has every open cursor end. */
  stopCursors(): void {
    for (const cursor of [...this.cursors]) {
      cursor.stop()
    }
  }

  /** After a failure: SQLite has ended the transaction, or not. */
  look(): void {
    this.open = this.db.open && this.db.inTransaction
  }

  rollback(): void {
    try {
      this.control("ROLLBACK")
    } catch {
      this.look()
    }
  }

  /** One snapshot for a whole copy: a write of another connection would otherwise make SQLite begin anew. */
  beginSnapshot(): void {
    this.control("BEGIN")
    this.statements.get("SELECT count(*) FROM sqlite_schema", true).statement.get()
  }

  /** Loads an extension, and has the database's other connections load it. Throws what better-sqlite3 throws. */
  addExtension(path: string): void {
    this.load()
    this.db.loadExtension(path)
    this.shared.extensions.push(path)
    this.handle.loaded++
    this.statements.clear()
  }

  /** Loads the extensions that the database's connections have been given. Throws what better-sqlite3 throws. */
  private load(): void {
    this.settle()
    while (this.handle.loaded < this.shared.extensions.length) {
      this.db.loadExtension(this.shared.extensions[this.handle.loaded]!)
      this.handle.loaded++
    }
    this.statements.clear()
  }
}
