/**
 * Writes the file of a new migration.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { isPermissionDenied } from "../effect/platformError.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError } from "./MigrationError.js"
import * as Name from "./Name.js"

/**
 * How the file is made.
 *
 * @since 0.1.0
 * @category models
 */
export interface CreateOptions {
  /** The folder of migrations; made where it is missing. */
  readonly folder: string
  /** What it does, in a few words: they become the file's name. */
  readonly description: string
  /** Writes an undo migration, too. Defaults to false. */
  readonly undo?: boolean | undefined
  /** Writes a repeatable migration (`R__`). Defaults to false. */
  readonly repeatable?: boolean | undefined
  /** The name of the database, for errors. Defaults to `default`. */
  readonly database?: string | undefined
}

/** The template of the folder, where it has one. It begins with a dot, so that it is no migration. */
const templateFile = ".template.sql"

const template = `-- \${description}
--
-- Applied files are never edited: write a new migration instead.
-- What cannot run in a transaction (CREATE INDEX CONCURRENTLY, VACUUM) goes into a file of its own that begins with
-- the line "-- dblive: no-transaction", without these quotes.

`

const undoTemplate = `-- Takes back version \${version}: \${description}

`

const fill = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(/\$\{(version|description|date)\}/g, (_, name: string) => values[name]!)

/**
 * Writes the next migration: its version is the highest of the folder plus one. The text comes from `.template.sql` in
 * the folder, where there is one, with `${version}`, `${description}` and `${date}` filled in. Gives the paths of the
 * files it wrote; it never writes over one.
 *
 * @since 0.1.0
 * @category execution
 */
export const create = (
  options: CreateOptions
): Effect.Effect<ReadonlyArray<string>, MigrationError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const database = options.database ?? "default"
    const words = options.description.trim().replace(/[\s_]+/g, "_")
    if (!/^[\p{L}\p{N}_.,+-]+$/u.test(words) || words.startsWith(".")) {
      return yield* Effect.fail(Errors.make({
        reason: "Parse",
        database,
        problem: `"${options.description}" cannot be the name of a file`,
        advice: "use letters, digits and spaces"
      }))
    }
    yield* fs.makeDirectory(options.folder, { recursive: true })
    const files = yield* fs.readDirectory(options.folder, { recursive: true })
    const versions = files.flatMap((file) => {
      const name = Name.parse(path.basename(file).replace(/\.[^.]+$/, ""))
      return typeof name !== "string" && name.version !== undefined ? [name.version] : []
    })
    const version = Name.nextVersion(versions)
    const date = DateTime.formatIsoDateUtc(yield* DateTime.now)
    const values = { version, description: words.replaceAll("_", " "), date }
    const own = path.join(options.folder, templateFile)
    const text = (yield* fs.exists(own)) ? yield* fs.readFileString(own) : template
    const named = (prefix: string) => path.join(options.folder, `${prefix}__${words}.sql`)
    const wanted: Array<readonly [file: string, text: string]> = options.repeatable === true
      ? [[named("R"), fill(text, values)]]
      : [
        [named(`V${version}`), fill(text, values)],
        ...(options.undo === true ? [[named(`U${version}`), fill(undoTemplate, values)] as const] : [])
      ]
    // "wx": a file that came into being meanwhile is not written over.
    yield* Effect.forEach(wanted, ([file, text]) => fs.writeFileString(file, text, { flag: "wx" }), { discard: true })
    return wanted.map(([file]) => file)
  }).pipe(
    Effect.catchAll((error: PlatformError | MigrationError) =>
      Effect.fail(
        error._tag === "MigrationError" ? error : Errors.make({
          reason: isPermissionDenied(error) ? "Permission" : "Parse",
          database: options.database ?? "default",
          problem: `the file cannot be written: ${error.message}`,
          advice: "look at the folder; a file of this name may exist",
          cause: error
        })
      )
    )
  )
