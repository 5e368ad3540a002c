CREATE DATABASE bmart CHARACTER SET utf8mb4;

CREATE TABLE bmart.catalog (
  id    BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  title VARCHAR(120) NOT NULL
);

CREATE TABLE bmart.category (
  id         BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  catalog_id BIGINT UNSIGNED NOT NULL,
  position   INT NOT NULL,
  title      VARCHAR(120) NOT NULL,
  KEY (catalog_id)
);

CREATE TABLE bmart.product (
  id          BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  category_id BIGINT UNSIGNED NOT NULL,
  name        VARCHAR(160) NOT NULL,
  note        VARCHAR(200) NULL,
  price       DECIMAL(10,2) NOT NULL,
  updated_at  DATETIME(6) NOT NULL,
  KEY (category_id)
);

CREATE TABLE bmart.stock (
  product_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  qty        INT NOT NULL
);
