/** Both databases, migrated before the first request: from the environment, or embedded where it says nothing. */
import { NodeContext } from "@effect/platform-node"
import { Config, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { Db, DbMigrator } from "../../src/index.js"
import { Catalog } from "./Catalog.js"

export const migrations = (name: "orders" | "catalog") =>
  DbMigrator.fromDirectory(fileURLToPath(new URL(`./migrations/${name}`, import.meta.url)))

const OrdersLive = DbMigrator.layer(Db, { migrations: migrations("orders"), onStart: "run" }).pipe(
  Layer.provideMerge(Db.layerConfig({
    url: Config.string("DATABASE_URL").pipe(Config.withDefault("sqlite:///orders.db"))
  }))
)

const CatalogLive = DbMigrator.layer(Catalog, { migrations: migrations("catalog"), onStart: "run" }).pipe(
  Layer.provideMerge(Catalog.layerConfig({
    url: Config.string("CATALOG_DATABASE_URL").pipe(Config.withDefault("sqlite:///catalog.db"))
  }))
)

export const Databases = Layer.mergeAll(OrdersLive, CatalogLive).pipe(Layer.provide(NodeContext.layer))
