"""The only place that knows SQL: tables, migrations, one method per question. It keeps, it does not decide."""
