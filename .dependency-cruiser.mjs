/** The rules of the house: who may import whom. */
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
      name: "driver-knows-no-engine",
      comment: "driver/ imports nothing of engine/",
      severity: "error",
      from: { path: "^src/driver/" },
      to: { path: "^src/engine/" }
    },
    {
      name: "engine-knows-no-particular-driver",
      comment: "engine/ imports driver/Driver.ts only",
      severity: "error",
      from: { path: "^src/engine/" },
      to: { path: "^src/driver/", pathNot: "^src/driver/Driver\\.ts$" }
    },
    {
      name: "databases-through-the-front-door",
      comment: "database/ is the inside of Db.ts, which shows what others may use of it",
      severity: "error",
      from: { pathNot: "^src/(Db\\.ts$|database/)" },
      to: { path: "^src/database/" }
    },
    {
      name: "nobody-imports-the-index",
      comment: "index.ts is for users only",
      severity: "error",
      from: {},
      to: { path: "^src/index\\.ts$" }
    },
    {
      name: "no-driver-package-outside-its-driver",
      comment: "a driver's package is loaded by its own driver, or on demand",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/driver/" },
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
