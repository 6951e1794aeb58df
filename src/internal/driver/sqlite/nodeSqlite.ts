/**
 * Node's own SQLite (`node:sqlite`), with the operations and the manners of better-sqlite3: what the driver relies on, and
 * `node:sqlite` does otherwise or not at all, is made up for here.
 *
 * - It reads the first statement of a text and ignores the rest; it binds NULL to parameters without a value. Both are refused.
 * - It does not tell `sqlite3_stmt_readonly`: SQLite's bytecode does.
 * - Its errors carry SQLite's number, not its name.
 * - An integer beyond 2^53 that is read as a number is an error instead of a rounded number.
 * - The changes that a statement tells may be those of an earlier one.
 * - Its rows have no prototype.
 */
import * as Fs from "node:fs"
import { pathToFileURL } from "node:url"
import { codeOf } from "./codes.js"
import type { BackupMetadata, Database, Loaded, OpenOptions, Statement } from "./moduleContract.js"
import { calling, closed, SqliteError, translated } from "./nodeErrors.js"
import { NodeStatement, type StatementSync } from "./nodeStatement.js"

/** `DatabaseSync` of `node:sqlite`, as far as it is used. */
interface DatabaseSync {
  readonly isOpen: boolean
  readonly isTransaction: boolean
  prepare(text: string): StatementSync
  exec(text: string): void
  function(name: string, options: object, f: (...args: Array<never>) => unknown): void
  serialize(): Uint8Array
  deserialize(bytes: Uint8Array): void
  enableLoadExtension(on: boolean): void
  loadExtension(path: string): void
  close(): void
}

interface Module {
  readonly DatabaseSync: new(path: string | URL, options: object) => DatabaseSync
  readonly backup: (
    db: DatabaseSync,
    path: string,
    options: { readonly rate: number; readonly progress: (progress: BackupMetadata) => void }
  ) => Promise<number>
}

/** The versions of Node whose `node:sqlite` has all that is needed, for messages. */
export const since = "24.16 or later (26: 26.1 or later)"

const find = (): Module | undefined => {
  const get = (process as { readonly getBuiltinModule?: (name: string) => unknown }).getBuiltinModule
  // Node 22 has the module, experimental and without `serialize`, and warns when it is loaded.
  return Number.parseInt(process.versions.node, 10) < 24 ? undefined : get?.("node:sqlite") as Module | undefined
}

/** Why this Node's `node:sqlite` is not used; `undefined` where it can be. Loads it, which opens nothing. */
export const lacking = (): string | undefined => {
  const module = find()
  return typeof module?.DatabaseSync.prototype.serialize === "function" ?
    undefined :
    `Node ${process.versions.node} has ${
      module === undefined ? "no node:sqlite that is stable" : "a node:sqlite that cannot copy a database in memory"
    }`
}

/** What may stand behind a statement: spaces, semicolons and comments. */
const tail = /^(?:[\s;]|--[^\n]*|\/\*[^]*?(?:\*\/|$))*$/u

/** What is opened. Only a URI tells SQLite to create no file. */
const placeOf = (
  filename: string | Buffer,
  { fileMustExist = false, readonly: isReadonly = false }: OpenOptions
): string | URL => {
  if (typeof filename !== "string") {
    return ":memory:"
  }
  if (!fileMustExist || isReadonly || filename === ":memory:") {
    return filename
  }
  const url = pathToFileURL(filename)
  url.searchParams.set("mode", "rw")
  return url
}

/** The module, where it was found to lack nothing. */
const module = (): Module => find()!

/** As in the backups of the other module. */
const pagesPerStep = 100

class NodeDatabase implements Database {
  private readonly db: DatabaseSync
  private readonly isExtensible = !("permission" in process)
  private isClosing = false
  /** Backups that are under way: their steps run on another thread, on this handle. */
  private copies = 0

  constructor(filename: string | Buffer, options: OpenOptions = {}) {
    const { DatabaseSync } = module()
    this.db = calling(() => {
      const db = new DatabaseSync(placeOf(filename, options), {
        readOnly: options.readonly === true,
        timeout: options.timeout ?? 0,
        defensive: true,
        // Only with it the method can be used; Node's permission model forbids it.
        allowExtension: this.isExtensible
      })
      if (this.isExtensible) {
        // The SQL function `load_extension` stays off.
        db.enableLoadExtension(false)
      }
      if (typeof filename !== "string") {
        db.deserialize(filename)
      }
      return db
    })
  }

  get open(): boolean {
    return !this.isClosing && this.db.isOpen
  }

  get inTransaction(): boolean {
    return this.db.isTransaction
  }

  private check(): void {
    if (this.isClosing) {
      throw closed(undefined)
    }
  }

  prepare(text: string): Statement {
    this.check()
    return calling(() => {
      let statement: StatementSync
      try {
        statement = this.db.prepare(text)
      } catch (cause) {
        throw codeOf(cause) === "ERR_INVALID_ARG_VALUE"
          ? new RangeError("The supplied SQL string contains no statements", { cause })
          : cause
      }
      const rest = text.slice(statement.sourceSQL.length)
      if (rest !== "" && !tail.test(rest)) {
        throw new RangeError("The supplied SQL string contains more than one statement")
      }
      return new NodeStatement(this.db, statement, text)
    })
  }

  exec(text: string): void {
    this.check()
    calling(() => this.db.exec(text))
  }

  pragma(text: string, options: { readonly simple?: boolean } = {}): unknown {
    const statement = this.prepare(`PRAGMA ${text}`)
    return options.simple === true ? statement.pluck().get() : statement.all()
  }

  function(
    name: string,
    options: { readonly deterministic: boolean; readonly safeIntegers: boolean },
    f: (...args: Array<never>) => unknown
  ): void {
    calling(() =>
      this.db.function(
        name,
        { deterministic: options.deterministic, useBigIntArguments: options.safeIntegers },
        f
      )
    )
  }

  async backup(
    filename: string,
    options: { readonly progress: (progress: BackupMetadata) => number }
  ): Promise<BackupMetadata> {
    this.check()
    const isNew = !Fs.existsSync(filename)
    this.copies++
    try {
      const totalPages = await module().backup(this.db, filename, {
        rate: pagesPerStep,
        progress: (progress) => {
          this.check()
          options.progress(progress)
        }
      })
      return { totalPages, remainingPages: 0 }
    } catch (cause) {
      if (isNew) {
        Fs.rmSync(filename, { force: true })
      }
      throw translated(cause)
    } finally {
      this.copies--
      if (this.isClosing && this.copies === 0 && this.db.isOpen) {
        this.db.close()
      }
    }
  }

  serialize(): Uint8Array {
    this.check()
    return calling(() => Buffer.from(this.db.serialize()))
  }

  loadExtension(path: string): void {
    this.check()
    if (!this.isExtensible) {
      throw new SqliteError("SQLITE_AUTH", new Error("Node's permission model forbids extensions of SQLite"))
    }
    this.db.enableLoadExtension(true)
    try {
      calling(() => this.db.loadExtension(path))
    } finally {
      this.db.enableLoadExtension(false)
    }
  }

  close(): void {
    if (this.isClosing || !this.db.isOpen) {
      return
    }
    if (this.copies > 0) {
      this.isClosing = true
    } else {
      calling(() => this.db.close())
    }
  }
}

/** The module. Only where nothing is {@link lacking}. */
export const load = (): Loaded => ({ Database: NodeDatabase, name: `node:sqlite@${process.versions.node}` })
