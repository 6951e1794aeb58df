/**
 * What is used of a module that opens SQLite files: `better-sqlite3` fulfils it as it is, `node:sqlite` by nodeSqlite.ts.
 */

/** What a statement that gives no rows has done. */
export interface RunResult {
  changes: number
  lastInsertRowid: number | bigint
}

/** A column of a statement: what it is named, and of which table it is, where it is one's. */
export interface ColumnOf {
  readonly name: string
  readonly column: string | null
  readonly table: string | null
  /** As the table declares it. */
  readonly type: string | null
}

/** A prepared statement. Where parameters are an array, it holds all of them. */
export interface Statement {
  readonly source: string
  /** Gives rows. */
  readonly reader: boolean
  /** As `sqlite3_stmt_readonly` has it. */
  readonly readonly: boolean
  run(params?: ReadonlyArray<unknown>): RunResult
  all(params?: ReadonlyArray<unknown>): Array<unknown>
  get(...params: ReadonlyArray<unknown>): unknown
  iterate(params: ReadonlyArray<unknown>): Iterator<unknown>
  /** Rows as arrays. */
  raw(on: boolean): this
  /** Rows as the value of their first column. */
  pluck(): this
  /** Integers as `bigint`; else as numbers, rounded where they are beyond 2^53. */
  safeIntegers(on: boolean): this
  columns(): ReadonlyArray<ColumnOf>
}

/** An open file, or a database in memory. */
export interface Database {
  readonly open: boolean
  readonly inTransaction: boolean
  prepare(text: string): Statement
  exec(text: string): unknown
  pragma(text: string, options?: { readonly simple?: boolean }): unknown
  function(
    name: string,
    options: { readonly deterministic: boolean; readonly safeIntegers: boolean },
    f: (...args: Array<never>) => unknown
  ): unknown
  /** Copies the database to a file. `progress` says how many pages the next step copies, and stops the copy by throwing. */
  backup(
    filename: string,
    options: { readonly progress: (progress: BackupMetadata) => number }
  ): Promise<BackupMetadata>
  serialize(): Uint8Array
  loadExtension(path: string): unknown
  close(): unknown
}

/** How far a backup has come. */
export interface BackupMetadata {
  readonly totalPages: number
  readonly remainingPages: number
}

/** How a file is opened. */
export interface OpenOptions {
  readonly readonly?: boolean
  /** None is created. */
  readonly fileMustExist?: boolean
  readonly timeout?: number
}

/** Opens a file, `:memory:`, or a database in memory that begins as the bytes of a file. */
export type Constructor = new(filename: string | Buffer, options?: OpenOptions) => Database

/** A module that is loaded. */
export interface Loaded {
  readonly Database: Constructor
  /** Its name and version, as `Db.info` tells it: `better-sqlite3@13.2.0`, `node:sqlite@24.21.0`. */
  readonly name: string
  /** Why the installed better-sqlite3 is not what was loaded, where it should have been. */
  readonly passedOver?: string | undefined
}
