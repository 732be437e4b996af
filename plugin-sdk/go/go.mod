module mqtt-source/plugin-sdk

go 1.24
