/**
 * The words of documents and comments that are others in Effect 4: names that are changed wherever they stand in prose, and passages
 * of one file. Code is translated (`translate.ts`), also that of the documents and of the examples in comments.
 */

/** A passage and what stands in its place, literally. */
type Change = readonly [from: string | RegExp, to: string]

/** In all documents, and in the comments of the sources. */
export const everywhere: ReadonlyArray<readonly [from: RegExp, to: string]> = [
  [
    /@effect\/cli@\S+ @effect\/platform-node@\S+ @effect\/printer@\S+ @effect\/printer-ansi@[\d.]+/g,
    "@effect/platform-node@4.1"
  ],
  [/@effect\/sql-pg@0[\d.]+/g, "@effect/sql-pg@4"],
  [/@effect\/(sql|cli|cluster)(?![\w/@-])/g, "effect/$1"],
  [/HttpLayerRouter\.addHttpApi/g, "HttpApiBuilder.layer"],
  [/HttpLayerRouter/g, "HttpRouter"],
  [/NodeContext/g, "NodeServices"],
  [/ParseError/g, "SchemaError"],
  [/\burlParams: \{\}/g, "query: {}"],
  [/\bConfig\.redacted\b/g, "Config.Redacted"]
]

/** What a document says of Effect 3 alone: a passage that is to be changed here. */
export const remains =
  /effect@3|effect\/\S+@0\.|@effect\/(?:cli|experimental|platform|printer|sql(?:-sqlite-node|-mysql2|-mssql|-drizzle|-kysely)?)(?![\w-])|it\.scoped|HttpLayerRouter/

/** The commands of docs/effect-4.md that install what is asked for, by their first package. */
const installing = (block: string, packages: ReadonlyArray<string>): string =>
  packages.map((name) => block.split("\n").find((line) => line.includes(` ${name}@`)) ?? "").join("\n")

/** The passages of one file; `install` is the block of commands of docs/effect-4.md. */
export const passages = (install: string): Readonly<Record<string, ReadonlyArray<Change>>> => ({
  "README.md": [
    [
      /To try it from a clone, [^]*?```sh\n[^]*?```\n/,
      "This is the edition for Effect 4.1, made from a source that is written for Effect 3: [docs/effect-4.md](docs/effect-4.md).\n"
    ],
    [/npm install dblive effect@3 [^]*?(?=\n```)/, install],
    [
      /with `"strict": true` and, as [^]*?(?=To run a TypeScript file)/,
      "with `\"strict\": true`. "
    ],
    [
      /The versions are those of Effect 3: .*\n/,
      "What differs from the edition for Effect 3: [docs/effect-4.md](docs/effect-4.md).\n"
    ],
    ["Tested on Node 20, 22, 24 and 26.", "Tested on Node 24."],
    ["For `@effect/platform`'s `HttpLayerRouter` and `HttpApi`", "For Effect's `HttpRouter` and `HttpApi`"],
    [/\(tested with 0\.64\.\d+, on the SDK/, "(tested with 4.1.0, on the SDK"],
    [
      "run unchanged ([test/drop-in](test/drop-in/effectSql.test.ts)). A `listen` stream",
      "run unchanged. What `listen` gives"
    ],
    [
      /run in `Db`'s sessions and transactions, and so does \[Better Auth\].*\n/,
      "run in `Db`'s sessions and transactions.\n"
    ],
    [
      /`@effect\/sql-pg` and its siblings: smaller, by Effect's own authors, .*? Moving/,
      "`@effect/sql-pg`: smaller, by Effect's own authors. Moving"
    ],
    [/`dblive` is at 0\.\d+\.\d+/, "`dblive` is young"],
    [
      "each in a process of its own, in turns:",
      "each in a process of its own, in turns, and measured of the edition for Effect 3:"
    ]
  ],
  "docs/effect-4.md": [
    [
      /The source is written for Effect 3\. [^]*?(?=\n\n)/,
      "This package is the edition for Effect 4.1 of a source that is written for Effect 3, with the same names, settings and promises. The code of its documents\n" +
      "and of its `examples/` is Effect 4."
    ]
  ],
  "docs/first-hour.md": [
    [
      /npm install dblive effect@3 [^]*?(?=\n```)/,
      installing(install, ["dblive", "better-sqlite3", "typescript"])
    ],
    [/npm install pg@8 .*/, installing(install, ["pg"])],
    [", \"skipLibCheck\": true", ""],
    ["Listening on http://0.0.0.0:3000", "Listening on http://[::]:3000"],
    [/every request has been answered\n\[exit code 0\]/, "every request has been answered\n[exit code 130]"]
  ],
  "docs/install.md": [
    [/The whole test suite runs on Node 20\. .*/, "The test suite runs on Node 24."],
    [/\| 20 \| 12 \| \|\n\| 22 to 24\.15 \|/, "| 22.19 to 24.15 |"],
    [
      / and 13 crashes before 22: `dblive` refuses these pairs before it loads the package, and names/,
      " which `dblive` refuses before it loads the package, and names"
    ],
    [/\nThe types of `dblive\/sqlite` are those of [^]*?(?=\n\n)/, ""]
  ],
  "docs/observability.md": [
    [/`@effect\/opentelemetry` 0\.64\.\d+/, "`@effect/opentelemetry` 4.1.0"],
    ["@effect/opentelemetry@0.64 ", "@effect/opentelemetry@4.1 "],
    [
      "each stream of `listen` fails with `ConnectionError` `Closed`",
      "each queue of `listen` fails with an `SqlError`, behind which is `ConnectionError` `Closed`"
    ]
  ],
  "docs/testing.md": [
    [
      /\(`npm install --save-dev vitest@3 [^]*?Effect 4\); the layers/,
      "(`npm install --save-dev vitest@5 @effect/vitest@4`); the layers"
    ],
    [
      /\(In it\.scoped the test's scope closes after a layer\nthat is provided inside: /,
      "(The scope of a test closes after a layer\nthat is provided inside: "
    ],
    [
      "closes the layer when the body ends, and the scope of `it.scoped` closes\nlater",
      "closes the layer when the body ends, and the scope of `it.effect` closes\nlater"
    ]
  ],
  "docs/http.md": [
    ["a database into an HTTP server of `@effect/platform`", "a database into an HTTP server of Effect"],
    ["as `@effect/platform` has it", "as Effect has it"]
  ],
  "docs/coming-from.md": [
    ["`SqlSchema` and `Model` of `@effect/sql`", "`SqlSchema` of `effect/sql`, `Model` of `effect/schema`"],
    ["`Model` and `SqlSchema` of `@effect/sql`", "`Model` of `effect/schema`, `SqlSchema` of `effect/sql`"],
    [
      /# Coming from the published clients\n/,
      "# Coming from the published clients\n\nOf SQLite, MySQL and SQL Server the options are those of the clients for Effect 3: Effect 4 has none.\n"
    ],
    [
      /\| `maxConnections`, `minConnections` \| .* \|\n\| `connectTimeout`, `idleTimeout`, `connectionTTL` \|/,
      "| `maxConnections`, `minConnections` | `pool: { size, overflow: 0 }`, `pool.minIdle` |\n| `multiplex`, `multiplexConcurrency` | `pool.sharing`, `pool.sharingDepth` |\n" +
      "| `prepare`, `preparedStatementCacheSize` | `prepare`, `prepareCacheSize` |\n" +
      "| `connectTimeout`, `idleTimeout`, `connectionTTL` |"
    ],
    [
      /\| `types` \| .*/,
      "| `types` | `types` in the form of `pg`, `{ getTypeParser }`; a type for which it gives nothing is read as dblive reads it |"
    ],
    [/\| `layerFromPool` \| .*\n/, ""],
    [
      /Drizzle reads the rows itself, .* It is given a function that asks the database:/,
      "Drizzle for Effect 4 runs on `PgClient`:"
    ],
    [
      /`runner\(Archive, \.\.\.\)` is the same for a named database\. Both examples run on SQLite and on PostgreSQL in the tests: \[examples\/kysely\.ts\].*,\n/,
      "The tests run the first example on SQLite and on PostgreSQL, the second on PostgreSQL: [examples/kysely.ts](../examples/kysely.ts),\n"
    ],
    [/The published adapters run on the client, too\. [^]*?(?=## What differs on purpose)/, ""]
  ],
  "docs/values.md": [
    [
      /`Model\.BooleanFromNumber` and\n`Model\.DateTimeFromDate`-like fields of `@effect\/sql`/,
      "`Model.BooleanSqlite` and\n`Model.DateTimeInsert`-like fields of `effect/schema`"
    ]
  ],
  "docs/scaling.md": [
    [
      "Forked fibers know what their parent knew; a fiber that joins another knows what both knew.",
      "All fibers of a process know the same ([effect-4.md](effect-4.md#what-differs))."
    ]
  ],
  "docs/weight.md": [
    ["A test fails when one of these is off by more than 10 %.", "The figures are those of the edition for Effect 3."]
  ],
  "src/DbHttp.ts": [["an HTTP server of `@effect/platform`", "an HTTP server of Effect"]],
  "src/internal/test/watch.ts": [
    [
      /\(In it\.scoped the test's scope closes " \+\n( +)"after a layer that is provided inside/,
      "(The scope of a test closes \" +\n        \"after a layer that is provided inside"
    ]
  ]
})
