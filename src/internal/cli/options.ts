/**
 * The options that commands share.
 */
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { duration as durationKind } from "../config/kinds.js"
import { file, keyValues, refused } from "./effectCli.js"

const duration = (name: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("duration"),
    Options.mapEffect((text) => {
      const kind = durationKind("no limit")
      const millis = kind.fromText(text)
      return millis === undefined
        ? Effect.fail(refused(`--${name}: "${text}" is not accepted; give ${kind.accepted}; such as 30s`))
        : Effect.succeed(millis)
    })
  )

/** Absent options as `undefined`, which is how the rest of the code says it. */
export const optional = <A>(options: Options.Options<A>): Options.Options<A | undefined> =>
  Options.map(Options.optional(options), Option.getOrUndefined)

/** What is written to standard output is one JSON document. */
export const json = Options.boolean("json").pipe(
  Options.withDescription("Write one JSON document to standard output, also of an error")
)

/** Which database. */
export const target = {
  database: Options.text("database").pipe(
    Options.withAlias("d"),
    Options.withPseudoName("name"),
    Options.withDefault("default"),
    Options.withDescription(
      "The database's name, in any case. \"default\" is configured by DATABASE_URL or DATABASE_*, SurveyHub by SURVEY_HUB_DATABASE_URL and so on; .env files of this folder are read. Defaults to default"
    )
  ),
  url: optional(
    Options.text("url").pipe(
      Options.withPseudoName("url"),
      Options.withDescription(
        "Another address, such as postgres://app@localhost/shop or sqlite:///data/app.db. Leave the password out: it is taken from DATABASE_PASSWORD, DATABASE_PASSWORD_FILE or --password-file"
      )
    )
  ),
  passwordFile: optional(
    file("password-file").pipe(
      Options.withDescription("A file that holds the password, for --url")
    )
  ),
  create: Options.boolean("create").pipe(
    Options.withDescription("Open a new SQLite file NAME.db of this folder where nothing configures the database")
  ),
  environment: optional(
    Options.choice("env", ["production", "development", "test"]).pipe(
      Options.withDescription("Whose settings apply. Defaults to APP_ENV, else NODE_ENV, else development")
    )
  ),
  json
}

/** Where migrations are, and where their history is. */
export const folder = optional(
  Options.text("migrations").pipe(
    Options.withAlias("m"),
    Options.withPseudoName("folder"),
    Options.withDescription("The folder of migrations. Defaults to migrations/NAME of the database")
  )
)

export const history = {
  ...target,
  folder,
  table: optional(
    Options.text("table").pipe(
      Options.withPseudoName("name"),
      Options.withDescription(
        "The history table, with its schema where needed. Defaults to schema_version; Flyway's is flyway_schema_history"
      )
    )
  ),
  placeholders: keyValues("placeholder").pipe(
    Options.withAlias("p"),
    Options.withDescription("A value for ${key} in migrations, as key=value; may be repeated"),
    Options.withDefault({})
  ),
  outOfOrder: Options.boolean("out-of-order").pipe(
    Options.withDescription("Run versions that arrive after a higher one was applied")
  )
}

/** How migrations run. */
export const running = {
  ...history,
  statementTimeout: optional(
    duration("statement-timeout").pipe(
      Options.withDescription("The longest one statement may run, such as 5min. Defaults to no limit")
    )
  ),
  lockTimeout: optional(
    duration("lock-timeout").pipe(
      Options.withDescription(
        "The longest wait for a table's lock, during which others wait behind it. Defaults to 10s"
      )
    )
  ),
  lockWait: optional(
    duration("lock-wait").pipe(
      Options.withDescription("The longest wait for another runner of migrations. Defaults to 5min")
    )
  ),
  lock: optional(
    Options.choice("lock", ["session", "none"]).pipe(
      Options.withDescription(
        "none: without the lock that keeps other runners away, for servers that have no advisory locks. Defaults to session"
      )
    )
  )
}

export const upTo = optional(
  Options.text("target").pipe(
    Options.withAlias("t"),
    Options.withPseudoName("version"),
    Options.withDescription("The highest version to run")
  )
)

export const downTo = optional(
  Options.text("target").pipe(
    Options.withAlias("t"),
    Options.withPseudoName("version"),
    Options.withDescription("Undo every version down to and including this one. Defaults to the latest version only")
  )
)

export const yes = Options.boolean("yes").pipe(
  Options.withAlias("y"),
  Options.withDescription("Do not ask; needed where there is no terminal to answer at")
)

export const wait = optional(
  duration("wait").pipe(Options.withDescription("Keep trying for this long, such as 30s. Defaults to one try"))
)

export const format = Options.choice("format", ["table", "json", "csv"]).pipe(
  Options.withAlias("f"),
  Options.withDefault("table"),
  Options.withDescription("How rows are written. Defaults to table")
)

export const parameters = keyValues("param").pipe(
  Options.withDescription("A value for :key in the statement, as key=value; may be repeated"),
  Options.withDefault({})
)
