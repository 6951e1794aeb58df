/** Dependency rules: which module may import which. */
export default {
  forbidden: [
    {
      name: "no-circles",
      comment: "modules must not load each other in a circle (a type may point back: it vanishes)",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }
    },
    {
      name: "no-circles-of-types",
      comment:
        "what modules share has a module of its own: not even their types name each other. A public module and its internal one do, as in Effect",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/[^/]+\\.ts$" },
      to: { circular: true, viaOnly: { pathNot: "^src/[^/]+\\.ts$" } }
    },
    {
      name: "driver-knows-no-engine",
      comment:
        "a driver imports nothing of the engine: it knows no pool, session or request (the lexer of sql/, the classification on it and a piece of SQL know neither)",
      severity: "error",
      from: { path: "^src/(internal/)?driver/" },
      to: {
        path: "^src/internal/(Engine|SqlClient|(pool|request|session|fiber|effect|observe|sql)/)",
        pathNot: "^src/internal/sql/(classify|fragment|Lexer|Syntax|Ending|StoredProgram)\\.ts$"
      }
    },
    {
      name: "sql-knows-only-sql",
      comment: "what reads SQL imports nothing of the engine or of a driver",
      severity: "error",
      from: { path: "^src/internal/sql/" },
      to: { path: "^src/", pathNot: "^src/internal/sql/" }
    },
    {
      name: "engine-knows-no-particular-driver",
      comment: "the engine imports driver/Driver.ts only",
      severity: "error",
      from: { path: "^src/internal/(Engine|SqlClient|(pool|request|session|fiber|effect|observe|sql)/)" },
      to: { path: "^src/(internal/)?driver/", pathNot: "^src/driver/Driver\\.ts$" }
    },
    {
      name: "databases-by-their-public-module",
      comment:
        "database/ implements Db.ts, which exports what users may use of it; a registry and test layers open databases, a check asks one, " +
        "and the doctor compares a connection's id with the server's",
      severity: "error",
      from: {
        pathNot: "^src/(Db\\.ts$|DbRegistry\\.ts$|internal/(check|database|test)/|internal/cli/diagnosis\\.ts$)"
      },
      to: { path: "^src/internal/database/" }
    },
    {
      name: "index-for-users-only",
      comment: "index.ts is for users only",
      severity: "error",
      from: {},
      to: { path: "^src/index\\.ts$" }
    },
    {
      name: "no-driver-package-outside-its-driver",
      comment: "a driver's package is loaded by its own driver, or on demand",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(internal/)?driver/" },
      to: {
        path: "node_modules/(pg|pg-cursor|pg-protocol|better-sqlite3|mysql2|tedious|@effect/sql-[^/]+)/",
        dependencyTypesNot: ["type-only", "dynamic-import"]
      }
    },
    {
      name: "declared-packages-only",
      comment: "src may import only what package.json names as a (peer) dependency",
      severity: "error",
      from: { path: "^src/" },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "unknown"],
        dependencyTypesNot: ["npm-peer", "npm"]
      }
    },
    {
      name: "resolvable",
      comment: "every import must be found",
      severity: "error",
      from: {},
      to: { couldNotResolve: true }
    }
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] }
  }
}
