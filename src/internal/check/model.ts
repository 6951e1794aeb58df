/**
 * What a check is about: statements in files, and what is wrong with them.
 */

/** How a statement's function gives its rows. */
export type Kind = "one" | "option" | "many" | "execute"

/** All of them. */
export const kinds: ReadonlyArray<Kind> = ["one", "option", "many", "execute"]

/** Where something stands: a file, by its path from the project's root with `/`, and a line from 1. */
export interface At {
  readonly file: string
  readonly line: number
}

/**
 * What is wrong with a statement or a file.
 *
 * @since 0.2.0
 * @category models
 */
export interface CheckProblem {
  /** The path from the project's root. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** The statement's name, where it has one. */
  readonly name?: string | undefined
  readonly message: string
}

/** What the comments of a statement say in place of the database. */
export interface Override {
  readonly line: number
  readonly type?: string | undefined
  readonly nullable?: boolean | undefined
}

/** A statement of a file. */
export interface Statement extends At {
  readonly name: string
  /** `undefined` where nothing says it. */
  readonly kind: Kind | undefined
  readonly text: string
  /** By the parameter's name. */
  readonly parameters: ReadonlyMap<string, Override>
  /** By the column's name. */
  readonly columns: ReadonlyMap<string, Override>
  /** The comments that stand before it. */
  readonly about: ReadonlyArray<string>
  /** `false` where the program reads the file by `Db.sqlFile`: then only its types are written. */
  readonly isFunction: boolean
}

/** A field of a row, or of the parameters. */
export interface Field {
  readonly name: string
  /** In TypeScript's words, with `null` where that is possible. */
  readonly type: string
}

/** A statement that fits the schema. */
export interface Checked {
  readonly statement: Statement
  readonly kind: Kind
  readonly parameters: ReadonlyArray<Field>
  /** `undefined` where the statement gives no rows. */
  readonly row: ReadonlyArray<Field> | undefined
}
